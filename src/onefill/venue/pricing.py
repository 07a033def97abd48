"""Black-76: options on a future, such that put-call parity holds to the tick.

Volatility and time only spread the value around the intrinsic one, so binary floats serve inside;
what leaves this file is a Decimal on the tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from onefill.core.money import ZERO

_CLOSE = timedelta(hours=10)
"""15:30 in Kolkata is 10:00 UTC: contracts expire at the close."""
_DAYS_A_YEAR = 365.0
_LAST_DAY = 0.5


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """A European option, cash-settled at its expiry's close."""

    strike: Decimal
    expiry: date
    is_call: bool


def option_price(
    terms: OptionTerms, forward: Decimal, now: datetime, volatility: Decimal, tick: Decimal
) -> Decimal:
    """What the option is worth in points, on the tick, with interest taken as zero.

    The cheaper side comes from Black-76, the other from parity: call - put = forward - strike,
    exactly, because a trader's entry price is computed from it (PF-20).
    An option is worth at least one tick more than its intrinsic value, an expired one exactly
    that: it never trades at 0, which an adapter takes for a fill without a price yet.
    """
    intrinsic = forward - terms.strike if terms.is_call else terms.strike - forward
    days = _days_left(terms.expiry, now)
    if days is None:
        return tick + max(intrinsic, ZERO)
    outer = _out_of_the_money(forward, terms.strike, days, volatility)
    return max(on_tick(outer, tick), tick) + max(intrinsic, ZERO)


def on_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The price rounded to the nearest tick."""
    return (price / tick).to_integral_value(rounding=ROUND_HALF_UP) * tick


def _days_left(expiry: date, now: datetime) -> float | None:
    """Calendar days, half a day on the last one, None once expired.

    Whole days, so that the two legs of one entry never see different amounts of time.
    """
    if now >= datetime.combine(expiry, time(), tzinfo=UTC) + _CLOSE:
        return None
    return max(float((expiry - now.date()).days), _LAST_DAY)


@lru_cache(maxsize=4_096)
def _out_of_the_money(
    forward: Decimal, strike: Decimal, days: float, volatility: Decimal
) -> Decimal:
    deviation = float(volatility) * math.sqrt(days / _DAYS_A_YEAR)
    distance = abs(math.log(float(forward) / float(strike)))
    near, far = sorted((float(forward), float(strike)))
    value = near * _normal(deviation / 2 - distance / deviation) - far * _normal(
        -deviation / 2 - distance / deviation
    )
    return Decimal(repr(max(value, 0.0)))


def _normal(x: float) -> float:
    """The cumulative standard normal distribution."""
    return math.erfc(-x / math.sqrt(2.0)) / 2
