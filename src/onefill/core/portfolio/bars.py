"""What a bar's close does to the positions of its lane. Source: PF-7, PF-10."""

from __future__ import annotations

from onefill.core.book import Decision, Situation
from onefill.core.instrument import Rules
from onefill.core.money import figures
from onefill.core.portfolio.exits import close
from onefill.core.portfolio.peeling import peel_off
from onefill.core.portfolio.stops import is_stopped, trail
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import NET_SLOT, Signal, SignalKind, SignalStatus

STOP = "stop"
"""The reason of an exit that no signal asked for."""
_NOTHING = Decision(status=SignalStatus.EXECUTED)


def take_close(
    signal: Signal, situation: Situation, rules: Rules, signal_id: int | None
) -> Decision:
    """Trail the stops of the lane by the signal's price and ATR; exit what closed below its own;
    peel off what has grown too large.

    signal_id: of the signal that ends with these exits; None for one that ends otherwise. Empty
    for a price that is older than the newest one, and for positions entered after it.
    """
    price, instrument = signal.price, rules.instruments.get(signal.instrument)
    if price is None or instrument is None or not is_newest(signal, situation):
        return _NOTHING
    here = (p for p in situation.here if p.slot != NET_SLOT)
    known = [p for p in here if _was_entered_before(p, signal, situation)]
    trailed = [trail(p, price, signal.atr, instrument.stop_k[1]) for p in known]
    stopped = [p for p in trailed if p.status is not PositionStatus.CLOSING]
    stopped = [p for p in stopped if is_stopped(p, price)]
    exits = (
        close(stopped, situation, rules, signal_id=signal_id, reason=STOP) if stopped else _NOTHING
    )
    left = {position.id: position for position in (*trailed, *exits.positions)}
    peeled = [peel_off(position, situation, rules, instrument) for position in left.values()]
    return Decision(
        status=exits.status,
        numbers=_numbers(signal, stopped),
        positions=tuple(position for position, _ in peeled),
        intents=(*exits.intents, *(intent for _, intents in peeled for intent in intents)),
        withdraw=exits.withdraw,
        alarms=exits.alarms,
        signals=exits.signals,
    )


def stops_any(decision: Decision, before: Situation) -> bool:
    """Whether this close ended a position that was not leaving before."""
    held = {p.id for p in before.here if p.status is not PositionStatus.CLOSING}
    gone = (PositionStatus.CLOSING, PositionStatus.CLOSED)
    return any(p.id in held and p.status in gone for p in decision.positions)


def is_newest(signal: Signal, situation: Situation) -> bool:
    """Whether no later price of the lane is known; bars are compared with bars only."""
    if signal.kind is SignalKind.MARKET_DATA:
        newest = situation.mark(signal.kind, signal.position)
        return newest is None or newest.time <= signal.time
    return situation.last_decided is None or situation.last_decided <= signal.time


def _was_entered_before(position: Position, signal: Signal, situation: Situation) -> bool:
    kind = SignalKind.BASE_ENTRY if position.is_base else SignalKind.PYRAMID
    entered = situation.mark(kind, position.slot)
    return entered is None or entered.time <= signal.time


def _numbers(signal: Signal, stopped: list[Position]) -> dict[str, str]:
    if not stopped:
        return {}
    slots = ", ".join(position.slot for position in stopped)
    stop = max(position.stop or 0 for position in stopped)
    return figures(close=signal.price or 0, stopped=slots, highest_stop=stop)
