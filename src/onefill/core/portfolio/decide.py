"""What a signal of the portfolio engine means now. Source: PF-1 to PF-12, PF-20."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from onefill.core.book import Decision, Situation, refuse
from onefill.core.instrument import Rules
from onefill.core.money import figures
from onefill.core.portfolio.entry import enter
from onefill.core.portfolio.exits import leave
from onefill.core.position import Position
from onefill.core.refusal import Refusal
from onefill.core.signal import LoggedSignal, Signal, SignalKind, SignalStatus


def decide(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """The decision on one portfolio signal."""
    if logged.signal.kind is SignalKind.EXIT:
        return leave(logged, situation, rules)
    if logged.signal.kind is SignalKind.MARKET_DATA:
        return note_bar(logged.signal, situation)
    return enter(logged, situation, rules)


def note_bar(signal: Signal, situation: Situation) -> Decision:
    """Take a bar's close and ATR into the lane's positions; an older bar changes nothing."""
    newest = situation.mark(SignalKind.MARKET_DATA, signal.position)
    if newest is not None and newest.time > signal.time:
        return refuse(Refusal.OVERTAKEN)
    price = signal.price
    if price is None:
        return Decision(status=SignalStatus.EXECUTED)
    positions = tuple(_after_bar(position, price, signal.atr) for position in situation.here)
    return Decision(
        status=SignalStatus.EXECUTED,
        numbers=figures(price=price, positions=len(positions)),
        positions=positions,
    )


def _after_bar(position: Position, close: Decimal, atr: Decimal | None) -> Position:
    highest = close if position.highest_close is None else max(position.highest_close, close)
    return replace(
        position,
        last_price=close,
        highest_close=highest,
        atr=position.atr if atr is None else atr,
    )
