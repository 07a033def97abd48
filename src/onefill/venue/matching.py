"""The rules of matching, as pure functions of an order and a price."""

from __future__ import annotations

from decimal import Decimal

from onefill.core.money import ZERO
from onefill.venue.orders import Algo, Kind, Order, Side


def is_triggered(order: Order, price: Decimal) -> bool:
    """Whether the order may trade at all: stops wait until the price reaches their trigger."""
    if order.triggered or order.kind in (Kind.MARKET, Kind.LIMIT):
        return True
    if order.side is Side.BUY:
        return price >= order.trigger_price
    return price <= order.trigger_price


def is_reached(algo: Algo, price: Decimal) -> bool:
    """Whether the price has come to the trigger price of an order that waits."""
    from_below = (algo.side is Side.BUY) is not algo.takes_profit
    return price >= algo.trigger_price if from_below else price <= algo.trigger_price


def fill_price(order: Order, price: Decimal, spread: Decimal) -> Decimal | None:
    """The price at which a triggered order trades now; None if its limit is not met.

    price: the middle, in points. A buy pays half the spread more, a sell gets half of it less.
    """
    bid, ask = sides_of(price, spread)
    offered = ask if order.side is Side.BUY else bid
    if order.kind in (Kind.MARKET, Kind.SLM):
        return offered
    meets = offered <= order.price if order.side is Side.BUY else offered >= order.price
    return offered if meets else None


def sides_of(price: Decimal, spread: Decimal) -> tuple[Decimal, Decimal]:
    """Bid and ask around a middle price."""
    half = spread / 2
    return max(price - half, ZERO), price + half


def fill_quantity(order: Order, position: Decimal, at_most: Decimal | None) -> Decimal:
    """How much of a triggered order fills on this tick, never negative.

    position: net and signed; a reduce-only order never carries it through zero.
    """
    quantity = order.remaining
    if order.reduces:
        quantity = min(quantity, reducible(order.side, position))
    return quantity if at_most is None else min(quantity, at_most)


def reducible(side: Side, position: Decimal) -> Decimal:
    """How much an order of this side can take off the position; 0 where it would add to it."""
    against = -position if side is Side.BUY else position
    return max(against, ZERO)


def signed(side: Side, quantity: Decimal) -> Decimal:
    """The change of the net position."""
    return quantity if side is Side.BUY else -quantity
