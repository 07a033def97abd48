"""Legs as people see them, and what is not realised of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from onefill.core.intent import Side
from onefill.core.money import ZERO
from onefill.core.position import Leg
from onefill.ports.rows import LegRow


def unrealised_of(
    entry_price: Decimal | None, last_price: Decimal | None, legs: Sequence[Leg]
) -> Decimal | None:
    """Profit of what is held, at the last price; None where a price is missing.

    One leg: all that it would have earned if sold now, less what is realised. Several: their
    prices are those of the future that they add up to (PF-20), held as much as the bought legs
    are; when they are unequal (`partial`) no single price fits, and the answer is None.
    """
    if all(leg.net == 0 for leg in legs):
        return ZERO
    if last_price is None:
        return None
    if len(legs) == 1:
        leg = legs[0]
        earned = leg.net * last_price + leg.sold_value - leg.bought_value
        return earned * leg.multiplier - leg.realised
    bought = next((leg for leg in legs if leg.side is Side.BUY), None)
    if bought is None or entry_price is None or len({abs(leg.net) for leg in legs}) > 1:
        return None
    return (last_price - entry_price) * bought.net * bought.multiplier


def leg_row(leg: Leg, slippage: Decimal | None = None) -> LegRow:
    """One leg of a position. slippage: where its orders tell it."""
    return LegRow(
        leg=leg.name,
        broker=leg.broker,
        account=leg.account,
        symbol=leg.symbol,
        exchange=leg.exchange,
        side=leg.side.value,
        quantity=leg.quantity,
        multiplier=leg.multiplier,
        net=leg.net,
        entry_price=leg.entry_price,
        realised=leg.realised,
        costs=leg.costs,
        slippage=slippage,
    )
