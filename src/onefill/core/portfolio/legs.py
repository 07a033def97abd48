"""How a position is built at the broker: a future, or a long call and a short put. PF-20."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from onefill.core.errors import invariant
from onefill.core.instrument import Instrument, Rules, Structure
from onefill.core.intent import OrderIntent, Side
from onefill.core.issue import OPEN, Cause, issue
from onefill.core.orders.closing import closing_intents
from onefill.core.portfolio.contracts import Contract, future_symbol, option_symbol
from onefill.core.position import CALL, FUTURE, PUT, Leg, Position

__all__ = ["closing_intents", "new_legs", "opening_intents"]


def new_legs(
    instrument: Instrument, contract: Contract, lots: int, rules: Rules
) -> tuple[Leg, ...]:
    """The legs of a new long position, nothing bought yet; the long one first."""
    return tuple(
        Leg(
            name=name,
            broker=instrument.broker,
            account=rules.accounts.get(instrument.broker, "paper"),
            symbol=symbol,
            exchange=instrument.exchange,
            side=side,
            quantity=Decimal(lots * contract.units_per_lot),
            multiplier=instrument.unit_value,
            tariff=instrument.costs,
        )
        for name, symbol, side in _shape(instrument, contract)
    )


def opening_intents(
    position: Position,
    source: str,
    rules: Rules,
    *,
    signal_id: int | None,
    valid_until: datetime | None,
) -> tuple[OrderIntent, ...]:
    """The orders that open the position, each after the one before it.

    The first leg alone adds exposure and may expire unsent. The others complete what it started
    (ORD-8): they never expire, and end with it when it fails.
    """
    cause = Cause(deployment=rules.deployment, source=source, action=OPEN, signal_id=signal_id)
    intents: list[OrderIntent] = []
    for leg in position.legs:
        first = not intents
        intents.append(
            issue(
                cause,
                position,
                leg,
                leg.side,
                leg.quantity,
                adds_exposure=first,
                after=None if first else intents[-1].client_order_id,
                valid_until=valid_until if first else None,
            )
        )
    return tuple(intents)


def _shape(instrument: Instrument, contract: Contract) -> tuple[tuple[str, str, Side], ...]:
    root, end, strike = instrument.symbol_root, contract.expiry, contract.strike
    if instrument.structure is Structure.FUTURE:
        return ((FUTURE, future_symbol(root, end), Side.BUY),)
    invariant(strike is not None, "options have a strike", instrument=instrument.name)
    assert strike is not None
    return (
        (CALL, option_symbol(root, end, strike, "CE"), Side.BUY),
        (PUT, option_symbol(root, end, strike, "PE"), Side.SELL),
    )
