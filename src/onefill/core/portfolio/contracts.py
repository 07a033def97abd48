"""Which contract: strike, expiry, lot size and the broker's symbols. Source: PF-20, 23, 25."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from onefill.core.instrument import ExpiryRule, Instrument, Series, Structure
from onefill.core.money import floor

LOT_TIMES_MAX = 4
"""A listed lot so many times larger or smaller than the configured one counts something else:
brokers list commodities in contracts, and here they are units."""
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
"""As Indian brokers write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One series of an instrument. strike: of its options, None for a future."""

    expiry: date
    units_per_lot: int
    point_value: Decimal
    strike: int | None = None


def choose_contract(
    instrument: Instrument,
    day: date,
    price: Decimal,
    holidays: Set[date],
    listed: Sequence[Series] = (),
) -> Contract:
    """The series that a new entry uses: the first that will not roll within its window.

    day: today in the instrument's zone. listed: what the broker lists; where it lists none that
    lasts, the rules say. Its point value is that of its own lot size.
    """
    window = timedelta(days=instrument.rollover_days)
    lasting = [each for each in monthly(listed) if each.expiry - day > window]
    ends = expiries(instrument.expiry_rule, day, holidays)
    end = lasting[0].expiry if lasting else next(e for e in ends if e - day > window)
    units = units_of(lasting[0], instrument) if lasting else instrument.units_on(end)
    options = instrument.structure is Structure.SYNTHETIC_FUTURE
    return Contract(
        expiry=end,
        units_per_lot=units,
        point_value=instrument.unit_value * units,
        strike=nearest_strike(price, instrument) if options else None,
    )


def monthly(listed: Sequence[Series]) -> list[Series]:
    """The last contract of each month, in order: weekly ones are not traded here."""
    last: dict[tuple[int, int], Series] = {}
    for each in sorted(listed, key=lambda each: each.expiry):
        last[each.expiry.year, each.expiry.month] = each
    return list(last.values())


def units_of(series: Series, instrument: Instrument) -> int:
    """Broker units in one lot: as listed, unless that can't be meant in the same units."""
    configured = instrument.units_on(series.expiry)
    if series.units is None or not _is_of_one_kind(series.units, configured):
        return configured
    return series.units


def unlike_the_rules(
    listed: Sequence[Series], instrument: Instrument, holidays: Set[date]
) -> list[str]:
    """What a person should know of a list: months that end on another day than the rules say, and
    lots of another size than configured."""
    found: list[str] = []
    for each in monthly(listed):
        ruled = expiry_of(instrument.expiry_rule, each.expiry.year, each.expiry.month, holidays)
        if each.expiry != ruled:
            found.append(f"{instrument.name}: listed to end on {each.expiry}, by rule on {ruled}")
        configured = instrument.units_on(each.expiry)
        if each.units is not None and each.units != configured:
            kind = "" if _is_of_one_kind(each.units, configured) else ", which is not believed"
            lot = f"a lot of {each.units} is listed for {each.expiry}"
            found.append(f"{instrument.name}: {lot}, {configured} is configured{kind}")
    return found


def _is_of_one_kind(listed: int, configured: int) -> bool:
    return configured <= listed * LOT_TIMES_MAX and listed <= configured * LOT_TIMES_MAX


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
    return f"{day.day:02d}{MONTHS[day.month - 1]}{day.year % 100:02d}"


def _last_tuesday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return last - timedelta(days=(last.weekday() - calendar.TUESDAY) % 7)
