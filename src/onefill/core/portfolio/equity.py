"""What a portfolio is worth and what it carries. Source: PF-5, PF-6."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.book import Account
from onefill.core.instrument import Caps, EquityBase
from onefill.core.money import ZERO, percent_of
from onefill.core.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Rupees at risk down to the stops, rupees that one ATR moves, rupees of margin."""

    risk: Decimal = ZERO
    volatility: Decimal = ZERO
    margin: Decimal = ZERO

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(
            risk=self.risk + other.risk,
            volatility=self.volatility + other.volatility,
            margin=self.margin + other.margin,
        )

    def __mul__(self, lots: int) -> Exposure:
        return Exposure(
            risk=self.risk * lots, volatility=self.volatility * lots, margin=self.margin * lots
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """A position's risk and volatility as percentages of equity."""

    risk_percent: Decimal
    volatility_percent: Decimal


def exposure(position: Position, price: Decimal | None = None) -> Exposure:
    """What the position carries at this price (default: the last one seen).

    Every position that is not closed counts with all its lots, also while its orders are under
    way or in doubt: the worst case (ORD-8).
    """
    if not position.is_live:
        return Exposure()
    at = next((p for p in (price, position.last_price, position.signal_price) if p), ZERO)
    stop = position.stop if position.stop is not None else at
    per_point = position.lots * position.point_value
    return Exposure(
        risk=max(ZERO, at - stop) * per_point,
        volatility=(position.atr or ZERO) * per_point,
        margin=position.margin,
    )


def total_exposure(positions: Iterable[Position]) -> Exposure:
    """What all of them carry together."""
    return sum((exposure(position) for position in positions), Exposure())


def contribution(position: Position, equity: Decimal) -> Contribution:
    """The position's share of the equity at risk, for `risk_contribution`, `vol_contribution`."""
    carried = exposure(position)
    return Contribution(
        risk_percent=percent_of(carried.risk, equity),
        volatility_percent=percent_of(carried.volatility, equity),
    )


def unrealised(positions: Iterable[Position]) -> Decimal:
    """Rupees gained on what is held, at the last prices seen."""
    priced = ((position, position.last_price) for position in positions if position.is_live)
    return sum((p.profit_at(price) for p, price in priced if price is not None), ZERO)


def sizing_equity(account: Account, positions: Iterable[Position], base: EquityBase) -> Decimal:
    """The equity that sizes a trade, by the configured base. Source: PF-5."""
    if base is EquityBase.CLOSED:
        return account.closed_equity
    if base is EquityBase.BLENDED:
        return account.closed_equity + unrealised(positions) / 2
    return max(account.high_water, account.closed_equity)


def open_equity(account: Account, positions: Iterable[Position]) -> Decimal:
    """Closed equity and what is gained on what is held."""
    return account.closed_equity + unrealised(positions)


def cap_of(equity: Decimal, caps: Caps) -> Exposure:
    """The most that a portfolio may carry, in rupees."""
    return Exposure(
        risk=equity * caps.risk_percent / 100,
        volatility=equity * caps.volatility_percent / 100,
        margin=equity * caps.margin_percent / 100,
    )
