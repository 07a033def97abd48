"""The direct policy: the trader sizes, we execute exactly that. Source: SIG-23, ORD-8.

A lane has one net position, long or short. Orders that can only reduce it never expire and pass
a pause and orders in doubt: they never ask for more than is confirmed and not yet being sold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from onefill.core.admission import refusal_of_entry, valid_until
from onefill.core.book import WAIT, Decision, Situation, refuse
from onefill.core.errors import invariant
from onefill.core.ids import position_id
from onefill.core.instrument import Rules
from onefill.core.intent import Side
from onefill.core.issue import TRADE, Cause, issue
from onefill.core.money import ZERO, figures
from onefill.core.orders.closing import begin_closing, committed
from onefill.core.position import MAIN, Leg, Position, PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import NET_SLOT, LoggedSignal, SignalKind, SignalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    """One order under consideration. reduces: whether it can only make the position smaller."""

    side: Side
    quantity: Decimal
    reduces: bool
    limit_price: Decimal | None = None


def decide(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """The decision on one direct signal."""
    match logged.signal.kind:
        case SignalKind.BUY:
            return _trade(logged, situation, rules, Side.BUY)
        case SignalKind.SELL:
            return _trade(logged, situation, rules, Side.SELL)
        case SignalKind.TARGET:
            return _reach(logged, situation, rules)
        case _:
            return _close(logged, situation, rules)


def _trade(logged: LoggedSignal, situation: Situation, rules: Rules, side: Side) -> Decision:
    """Buy or sell what is asked, whatever is held."""
    signal = logged.signal
    quantity = signal.quantity
    invariant(quantity is not None and quantity > 0, "trades have a size", signal=logged.id)
    assert quantity is not None
    trade = _Trade(
        side=side,
        quantity=quantity,
        reduces=quantity <= _free_to_reduce(situation, side),
        limit_price=signal.limit_price,
    )
    if not trade.reduces:
        if (refusal := refusal_of_entry(signal, situation, rules)) is not None:
            return refuse(refusal)
        if situation.in_doubt or _is_closing(situation):
            return WAIT
    return _order(logged, situation, rules, trade)


def _reach(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """Trade the difference between the target and what is held; an older one does nothing."""
    signal = logged.signal
    target = signal.target
    invariant(target is not None, "targets have a size", signal=logged.id)
    assert target is not None
    if situation.last_decided is not None and signal.time < situation.last_decided:
        return refuse(Refusal.OVERTAKEN)
    if target == 0:
        return _close(logged, situation, rules, nothing=Refusal.TARGET_REACHED)
    held = _net(situation)
    unsettled = situation.is_settling
    if target == held and not unsettled:
        return refuse(Refusal.TARGET_REACHED, figures(target=target, held=held))
    reduces = held * target > 0 and abs(target) <= abs(held)
    refusal = None if reduces else refusal_of_entry(signal, situation, rules)
    if refusal is not None:
        return refuse(refusal, figures(target=target, held=held))
    if unsettled:
        return WAIT
    trade = _Trade(
        side=Side.BUY if target > held else Side.SELL,
        quantity=abs(target - held),
        reduces=reduces,
        limit_price=signal.limit_price,
    )
    return _order(logged, situation, rules, trade)


def _close(
    logged: LoggedSignal,
    situation: Situation,
    rules: Rules,
    nothing: Refusal = Refusal.NOTHING_TO_CLOSE,
) -> Decision:
    """Close what is held, and what an order in doubt or resting may still bring.

    Orders on their way settle soon, and it waits for them; for one in doubt it does not (ORD-8).
    """
    position = _position(situation)
    if position is None or (position.is_flat and not situation.intents):
        return refuse(nothing)
    if position.status is PositionStatus.CLOSING:
        return refuse(Refusal.ALREADY_CLOSING)
    if any(not intent.rests for intent in situation.in_flight):
        return WAIT
    left, intents = begin_closing(
        position,
        situation.intents,
        situation,
        rules,
        signal_id=logged.id,
        reason=logged.signal.reason,
    )
    return Decision(
        status=SignalStatus.DECIDED,
        numbers=figures(held=_net(situation), orders=len(intents)),
        positions=(left,),
        intents=intents,
    )


def _order(logged: LoggedSignal, situation: Situation, rules: Rules, trade: _Trade) -> Decision:
    """The one order of this signal, and the net position where there is none yet."""
    held = _position(situation)
    position = held or _new_position(logged, situation, rules, trade)
    cause = Cause(
        deployment=rules.deployment, source=logged.source, action=TRADE, signal_id=logged.id
    )
    until = None if trade.reduces else valid_until(logged.signal, situation.account, rules)
    intent = issue(
        cause,
        position,
        position.leg(MAIN),
        trade.side,
        trade.quantity,
        adds_exposure=not trade.reduces,
        valid_until=until,
        limit_price=trade.limit_price,
    )
    if trade.reduces:
        intent = replace(intent, order=replace(intent.order, reduce_only=True))
    return Decision(
        status=SignalStatus.DECIDED,
        numbers=figures(held=_net(situation), quantity=trade.quantity, side=trade.side.value),
        positions=() if held else (position,),
        intents=(intent,),
    )


def _new_position(
    logged: LoggedSignal, situation: Situation, rules: Rules, trade: _Trade
) -> Position:
    signal = logged.signal
    exchange, symbol = _listing(signal.instrument)
    leg = Leg(
        name=MAIN,
        broker=rules.direct_broker,
        account=rules.direct_account,
        symbol=symbol,
        exchange=exchange,
        side=trade.side,
        quantity=trade.quantity,
        tariff=rules.direct_costs,
    )
    return Position(
        id=position_id(logged.source, NET_SLOT),
        portfolio=signal.portfolio,
        instrument=signal.instrument,
        slot=NET_SLOT,
        status=PositionStatus.PENDING,
        legs=(leg,),
        opened_at=situation.now,
        signal_price=signal.price,
        last_price=signal.price,
    )


def _listing(ticker: str) -> tuple[str, str]:
    """Exchange and symbol of a ticker as TradingView writes it, `NFO:BANKNIFTY…`; brokers that have
    one market only want no exchange."""
    exchange, separator, symbol = ticker.partition(":")
    return (exchange, symbol) if separator and symbol else ("", ticker)


def _position(situation: Situation) -> Position | None:
    return next((p for p in situation.here if p.slot == NET_SLOT), None)


def _net(situation: Situation) -> Decimal:
    """What is confirmed to be held, signed."""
    position = _position(situation)
    return position.leg(MAIN).net if position is not None else ZERO


def _free_to_reduce(situation: Situation, side: Side) -> Decimal:
    """What an order of this side may trade without any chance of opening the other way."""
    held = _net(situation)
    reducible = held if side is Side.SELL else -held
    return max(ZERO, reducible - committed(situation.intents, MAIN, side))


def _is_closing(situation: Situation) -> bool:
    position = _position(situation)
    return position is not None and position.status is PositionStatus.CLOSING
