"""Binance's filters: which quantities and prices a symbol takes, asked before anything is sent.

An order that its filters refuse is refused here, in words; the venue would say only a number.
Nothing is rounded: what was decided is durable, and an order is sent as it was decided or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from onefill.brokers.meter import RateRow
from onefill.core.intent import OrderRequest, OrderType
from onefill.core.money import ZERO, plain


class _Filter(msgspec.Struct, frozen=True, rename="camel"):
    filter_type: str
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    step_size: Decimal = ZERO
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    tick_size: Decimal = ZERO
    notional: Decimal = ZERO
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO


class _Symbol(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    status: str
    filters: list[_Filter]
    margin_asset: str = "USDT"


class Listing(msgspec.Struct, frozen=True, rename="camel"):
    """What exchangeInfo says, as far as it is needed."""

    symbols: list[_Symbol]
    rate_limits: list[RateRow] = []


listing_decoder = msgspec.json.Decoder(Listing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a number must keep to; 0 is no bound."""

    least: Decimal = ZERO
    most: Decimal = ZERO
    step: Decimal = ZERO

    def complaint(self, what: str, value: Decimal) -> str | None:
        """What is wrong with the number, or None."""
        if value < self.least:
            return f"{what} {plain(value)} is below the least, {plain(self.least)}"
        if self.most and value > self.most:
            return f"{what} {plain(value)} is above the most, {plain(self.most)}"
        if self.step and value % self.step != 0:
            return f"{what} {plain(value)} is no multiple of {plain(self.step)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """One symbol's filters. notional_least: of limit orders that don't only reduce. times_up,
    times_down: of the mark price, what a buy may cost at the most and a sale bring at the least."""

    is_trading: bool
    quantity: Bounds
    market_quantity: Bounds
    price: Bounds
    notional_least: Decimal
    times_up: Decimal = ZERO
    times_down: Decimal = ZERO
    margin_asset: str = "USDT"


def rules_of(listing: Listing) -> Mapping[str, SymbolRules]:
    """The filters of each listed symbol."""
    return {row.symbol: _rules(row) for row in listing.symbols}


def largest(order: OrderRequest, rules: Mapping[str, SymbolRules]) -> Decimal | None:
    """The largest quantity of such an order; None where there is no limit, or it is not known."""
    mine = rules.get(order.symbol)
    return _bounds_of(order, mine).most or None if mine is not None else None


def complaint(order: OrderRequest, rules: Mapping[str, SymbolRules]) -> str | None:
    """Why the venue would refuse this order; None where it would not, or it is not known."""
    mine = rules.get(order.symbol)
    if mine is None:
        return None
    if not mine.is_trading and not order.reduce_only:
        return f"{order.symbol} does not trade now"
    found = _bounds_of(order, mine).complaint("the quantity", order.quantity)
    if found is None and order.price is not None:
        found = mine.price.complaint("the price", order.price) or _too_little(order, mine)
    if found is None and order.trigger_price is not None:
        found = mine.price.complaint("the trigger price", order.trigger_price)
    return None if found is None else f"{order.symbol}: {found}"


def _bounds_of(order: OrderRequest, rules: SymbolRules) -> Bounds:
    return rules.quantity if order.order_type is OrderType.LIMIT else rules.market_quantity


def _too_little(order: OrderRequest, rules: SymbolRules) -> str | None:
    notional = order.quantity * (order.price or ZERO)
    if order.reduce_only or notional >= rules.notional_least:
        return None
    return f"the notional {plain(notional)} is below the least, {plain(rules.notional_least)}"


def _rules(row: _Symbol) -> SymbolRules:
    by_type = {each.filter_type: each for each in row.filters}
    none = _Filter(filter_type="")
    lot = by_type.get("LOT_SIZE", none)
    price = by_type.get("PRICE_FILTER", none)
    return SymbolRules(
        is_trading=row.status == "TRADING",
        quantity=_bounds(lot),
        market_quantity=_bounds(by_type.get("MARKET_LOT_SIZE", lot)),
        price=Bounds(least=price.min_price, most=price.max_price, step=price.tick_size),
        notional_least=by_type.get("MIN_NOTIONAL", none).notional,
        times_up=by_type.get("PERCENT_PRICE", none).multiplier_up,
        times_down=by_type.get("PERCENT_PRICE", none).multiplier_down,
        margin_asset=row.margin_asset,
    )


def _bounds(lot: _Filter) -> Bounds:
    return Bounds(least=lot.min_qty, most=lot.max_qty, step=lot.step_size)
