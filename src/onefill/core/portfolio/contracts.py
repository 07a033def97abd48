"""Which contract: strike, expiry, lot size and the broker's symbols. Source: PF-20, 23, 25."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from onefill.core.instrument import ExpiryRule, Instrument, Structure
from onefill.core.money import floor

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One series of an instrument. strike: of its options, None for a future."""

    expiry: date
    units_per_lot: int
    point_value: Decimal
    strike: int | None = None


def choose_contract(
    instrument: Instrument, day: date, price: Decimal, holidays: Set[date]
) -> Contract:
    """The series that a new entry uses: the first that will not roll within its window.

    day: today in the instrument's zone. Its point value is that of its own lot size.
    """
    window = timedelta(days=instrument.rollover_days)
    ends = expiries(instrument.expiry_rule, day, holidays)
    end = next(expiry for expiry in ends if expiry - day > window)
    units = instrument.units_on(end)
    options = instrument.structure is Structure.SYNTHETIC_FUTURE
    return Contract(
        expiry=end,
        units_per_lot=units,
        point_value=instrument.unit_value * units,
        strike=nearest_strike(price, instrument) if options else None,
    )


def expiries(rule: ExpiryRule, day: date, holidays: Set[date]) -> Iterator[date]:
    """Monthly expiries on or after that day, in order, without end."""
    months = day.year * 12 + day.month - 1
    while True:
        end = expiry_of(rule, months // 12, months % 12 + 1, holidays)
        if end >= day:
            yield end
        months += 1


def expiry_of(rule: ExpiryRule, year: int, month: int, holidays: Set[date]) -> date:
    """The month's expiry: the day that the rule names, or the last trading day before it."""
    day = date(year, month, 5) if rule is ExpiryRule.FIFTH else _last_tuesday(year, month)
    while day.weekday() >= calendar.SATURDAY or day in holidays:
        day -= timedelta(days=1)
    return day


def nearest_strike(price: Decimal, instrument: Instrument) -> int:
    """The strike next to the price; between two, the multiple of `strike_tie`."""
    step = instrument.strike_step
    below = floor(price / step) * step
    from_below, to_above = price - below, below + step - price
    if from_below == to_above:
        return below if below % instrument.strike_tie == 0 else below + step
    return below if from_below < to_above else below + step


def option_symbol(root: str, expiry: date, strike: int, kind: str) -> str:
    """OpenAlgo's name of an option, kind CE or PE: `BANKNIFTY30DEC2560000PE`."""
    return f"{root}{_stamp(expiry)}{strike}{kind}"


def future_symbol(root: str, expiry: date) -> str:
    """OpenAlgo's name of a future: `GOLDM05JAN26FUT`."""
    return f"{root}{_stamp(expiry)}FUT"


def _stamp(day: date) -> str:
    return f"{day.day:02d}{_MONTHS[day.month - 1]}{day.year % 100:02d}"


def _last_tuesday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return last - timedelta(days=(last.weekday() - calendar.TUESDAY) % 7)
