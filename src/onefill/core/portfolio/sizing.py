"""How many lots: the smallest of three bounds, never negative. Source: PF-1, PF-2."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from onefill.core.money import ZERO, figures, floor

INVALID_RISK = "invalid_risk"
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The trade as the signal describes it: points, and er between 0 and 1."""

    price: Decimal
    stop: Decimal
    atr: Decimal = ZERO
    er: Decimal = ZERO

    @property
    def risk(self) -> Decimal:
        """Points lost from price to stop; not positive where the stop is at or above the price."""
        return self.price - self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTerms:
    """What one lot costs (rupees) and what one trade may carry (percent of equity)."""

    point_value: Decimal
    margin_per_lot: Decimal
    risk_percent: Decimal = Decimal(1)
    volatility_percent: Decimal = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Lots to buy, the bound that set them, and all bounds by letter (R, V, M or A, B, C)."""

    lots: int
    limiter: str
    bounds: tuple[tuple[str, Decimal], ...] = ()

    @property
    def numbers(self) -> dict[str, str]:
        """The bounds and the limiter, for the record of the decision."""
        return figures(**dict(self.bounds)) | {"limiter": self.limiter}


def base_size(setup: Setup, terms: LotTerms, *, equity: Decimal, margin: Decimal) -> Size:
    """Lots of a base position: floor of the smallest of R, V and M.

    equity: what the percentages are of; margin: available, may be negative; rupees both.
    An ATR of 0 (an indicator that has not warmed up) bounds by 0: it says nothing of the risk.
    Source: PF-1.
    """
    if setup.risk <= 0:
        return Size(lots=0, limiter=INVALID_RISK)
    risk_budget = equity * terms.risk_percent / 100
    volatility_budget = equity * terms.volatility_percent / 100
    # One division, and last: a rounded quotient times er is 0.99… where it should be a whole lot.
    by_risk = risk_budget * setup.er / (setup.risk * terms.point_value)
    by_volatility = _ratio(volatility_budget, setup.atr * terms.point_value)
    by_margin = margin / terms.margin_per_lot
    return _smallest(
        ("R", "risk", by_risk), ("V", "volatility", by_volatility), ("M", "margin", by_margin)
    )


def pyramid_size(
    setup: Setup,
    terms: LotTerms,
    *,
    base_lots: int,
    pyramids: int,
    excess_profit: Decimal,
    margin: Decimal,
) -> Size:
    """Lots of one more pyramid: the smallest of A, B and C.

    pyramids: how many are open already. excess_profit: the base's profit beyond its initial
    risk, in rupees; half of it may be risked again. Source: PF-2.
    """
    if setup.risk <= 0:
        return Size(lots=0, limiter=INVALID_RISK)
    by_margin = margin / terms.margin_per_lot
    by_step = base_lots * _HALF ** (pyramids + 1)
    by_budget = _HALF * max(ZERO, excess_profit) / (setup.risk * terms.point_value)
    return _smallest(
        ("A", "margin", Decimal(floor(by_margin))),
        ("B", "geometric_0.5^n", Decimal(floor(by_step))),
        ("C", "risk_budget", Decimal(floor(by_budget))),
    )


def _smallest(*bounds: tuple[str, str, Decimal]) -> Size:
    """The first of the smallest bounds is the limiter."""
    _, limiter, least = min(bounds, key=lambda bound: bound[2])
    return Size(
        lots=max(0, floor(least)),
        limiter=limiter,
        bounds=tuple((letter, value) for letter, _, value in bounds),
    )


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    return part / whole if whole > 0 else ZERO
