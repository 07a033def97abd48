"""Stops that trail the closes, and what to sell of a position grown too large. PF-7, PF-10."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from onefill.core.instrument import Instrument
from onefill.core.money import ZERO, ceil
from onefill.core.portfolio.equity import Exposure
from onefill.core.position import Position


def trail(position: Position, close: Decimal, atr: Decimal | None, k: Decimal) -> Position:
    """The position after a bar's close; its stop only rises.

    atr of the bar and close in points, k in ATRs. None, or the 0 of an indicator that has not
    warmed up, leaves the last one known: with no distance the stop would be the close itself.
    """
    highest = close if position.highest_close is None else max(position.highest_close, close)
    known = atr or position.atr
    stop = position.stop
    if known and position.stop is not None:
        stop = max(position.stop, highest - k * known)
    return replace(position, last_price=close, highest_close=highest, atr=known, stop=stop)


def is_stopped(position: Position, close: Decimal) -> bool:
    """Whether this close ends the position: strictly below its stop."""
    return position.stop is not None and close < position.stop


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
    return ceil(excess * lots / amount) if lots > 0 and excess > 0 else 0
