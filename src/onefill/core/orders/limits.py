"""Hard limits at the last door: what an account never does. Source: ORD-15."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from onefill.core.money import ZERO
from onefill.core.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one order may be, and all of them together; None is no limit.

    quantity_max in broker units; notional_max and daily_loss in money; orders_a_minute counts
    attempts to place.
    """

    quantity_max: Decimal | None = None
    notional_max: Decimal | None = None
    orders_a_minute: int | None = None
    daily_loss: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBook:
    """The limits by `broker/account` and by `broker/account/symbol`; both hold."""

    by_name: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, account: str, symbol: str) -> tuple[tuple[str, Limits], ...]:
        """The limits that an order of this symbol keeps, each with the name that it counts by."""
        names = (account, f"{account}/{symbol}")
        return tuple((name, self.by_name[name]) for name in names if name in self.by_name)

    @property
    def accounts(self) -> list[str]:
        """The accounts that have limits, or a symbol that has; sorted, as they are locked."""
        return sorted({"/".join(name.split("/")[:2]) for name in self.by_name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An order about to be sent. value: of one unit at the last known price, None: not known."""

    account: str
    symbol: str
    quantity: Decimal
    value: Decimal | None
    adds_exposure: bool


@dataclass(slots=True)
class Usage:
    """What an account has done so far; `orders` by the limits' names, over the last minute."""

    orders: dict[str, int] = field(default_factory=dict)
    lost_today: Decimal = ZERO


def breach_of(order: Candidate, usage: Usage, book: LimitBook) -> Refusal | None:
    """The first limit that this order would break, or None.

    What can only reduce a position keeps no limit but the rate: getting out must stay possible.
    """
    for name, limits in book.of(order.account, order.symbol):
        if order.adds_exposure and (refusal := _too_large(order, usage, limits)) is not None:
            return refusal
        most = limits.orders_a_minute
        if most is not None and usage.orders.get(name, 0) >= most:
            return Refusal.LIMIT_ORDERS
    return None


def count(order: Candidate, usage: Usage, book: LimitBook) -> None:
    """Add this order to what was done in the last minute."""
    for name, _ in book.of(order.account, order.symbol):
        usage.orders[name] = usage.orders.get(name, 0) + 1


def _too_large(order: Candidate, usage: Usage, limits: Limits) -> Refusal | None:
    if limits.quantity_max is not None and order.quantity > limits.quantity_max:
        return Refusal.LIMIT_QUANTITY
    if limits.notional_max is not None and _notional(order, limits.notional_max):
        return Refusal.LIMIT_NOTIONAL
    if limits.daily_loss is not None and usage.lost_today >= limits.daily_loss:
        return Refusal.LIMIT_LOSS
    return None


def _notional(order: Candidate, most: Decimal) -> bool:
    """Whether the order is worth too much; one whose worth nobody knows counts as that."""
    return order.value is None or order.value * order.quantity > most
