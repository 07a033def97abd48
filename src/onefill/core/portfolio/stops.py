"""Peel-off: what to sell of a position that has grown past its ongoing limits. Source: PF-7."""

from __future__ import annotations

from decimal import Decimal

from onefill.core.instrument import Instrument
from onefill.core.money import ZERO, ceil
from onefill.core.portfolio.equity import Exposure


def lots_to_peel(lots: int, carried: Exposure, equity: Decimal, instrument: Instrument) -> int:
    """Lots to sell so that risk and volatility are within their ongoing limits again.

    carried: what all `lots` carry now, in rupees. At most all of them; 0 where both limits hold.
    """
    limits = (
        (carried.risk, equity * instrument.risk_percent[1] / 100),
        (carried.volatility, equity * instrument.volatility_percent[1] / 100),
    )
    return min(lots, max(_excess_lots(lots, amount, limit) for amount, limit in limits))


def _excess_lots(lots: int, amount: Decimal, limit: Decimal) -> int:
    excess = max(ZERO, amount - limit)
    return ceil(excess / (amount / lots)) if lots > 0 and excess > 0 else 0
