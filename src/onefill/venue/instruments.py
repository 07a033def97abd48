"""What the venue lists, in which dialect, and which price moves it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache

from onefill.core.errors import Bug
from onefill.core.money import ZERO
from onefill.venue.pricing import OptionTerms

BINANCE = "binance"
OPENALGO = "openalgo"

_CENT = Decimal("0.01")
_FIVE_PAISE = Decimal("0.05")
_ONE = Decimal(1)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_OPTION = re.compile(r"BANKNIFTY(\d{2})([A-Z]{3})(\d{2})(\d{4,6})(CE|PE)")
_FUTURE = re.compile(r"(GOLDM|COPPER|SILVERM)(\d{2})([A-Z]{3})(\d{2})FUT")
_STRIKE_STEP = 100
_BANK_NIFTY_MOST = Decimal(600)
SLICED, _SLICED_MOST = "SIM100", Decimal(50)
"""One simulated symbol takes little at once, so that orders are sliced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Something that can be traded or quoted. Prices in points, quantities in units."""

    symbol: str
    dialect: str
    source: str
    """Whose price moves it: its own symbol, or its underlying's."""
    tick: Decimal
    steps: tuple[Decimal, ...]
    """A quantity must be a multiple of one of these."""
    exchange: str = ""
    minimum_notional: Decimal = ZERO
    option: OptionTerms | None = None
    is_tradable: bool = True
    most: Decimal = Decimal(1_000_000_000)
    """The largest quantity of one order."""

    def fits(self, quantity: Decimal) -> bool:
        """Whether the quantity is a multiple of a lot size of this instrument."""
        return any(quantity % step == 0 for step in self.steps)


def _crypto(symbol: str, tick: str, step: str, notional: str, most: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        dialect=BINANCE,
        source=symbol,
        tick=Decimal(tick),
        steps=(Decimal(step),),
        minimum_notional=Decimal(notional),
        most=Decimal(most),
    )


def _simulated(number: int) -> Instrument:
    symbol = f"SIM{number:03d}"
    plain = Instrument(symbol=symbol, dialect=BINANCE, source=symbol, tick=_CENT, steps=(_ONE,))
    return replace(plain, most=_SLICED_MOST) if symbol == SLICED else plain


_FUTURES = {
    "GOLDM": (_ONE, Decimal(100), Decimal(10_000)),
    "COPPER": (_FIVE_PAISE, Decimal(2_500), Decimal(70_000)),
    "SILVERM": (_ONE, Decimal(5), Decimal(600)),
}

BINANCE_SYMBOLS: dict[str, Instrument] = {
    instrument.symbol: instrument
    for instrument in (
        _crypto("BTCUSDT", "0.1", "0.001", "50", "120"),
        _crypto("ETHUSDT", "0.01", "0.001", "20", "2000"),
        *(_simulated(number) for number in range(1, 101)),
    )
}

FIRST_PRICES: dict[str, Decimal] = {
    **dict.fromkeys(BINANCE_SYMBOLS, Decimal("100.00")),
    "BTCUSDT": Decimal("60000.0"),
    "ETHUSDT": Decimal("3000.00"),
    "BANKNIFTY": Decimal("60000.00"),
    "GOLDM": Decimal("78000"),
    "COPPER": Decimal("850.00"),
    "SILVERM": Decimal("95000"),
}
"""The price of each source until something moves it."""

ALIASES = {
    "BANK_NIFTY": "BANKNIFTY",
    "NIFTY": "BANKNIFTY",
    "GOLD_MINI": "GOLDM",
    "SILVER_MINI": "SILVERM",
}
"""Other names of price sources, as files of bars and onefill's configuration write them."""


@dataclass(frozen=True, slots=True)
class FutureTerms:
    """What a future's symbol says of it."""

    root: str
    expiry: date
    lot: Decimal
    tick: Decimal


def future_terms(symbol: str) -> FutureTerms | None:
    """The terms of a future of that symbol, traded here or not; None for what is no future's."""
    match = re.fullmatch(r"([A-Z]+?)(\d{2})([A-Z]{3})(\d{2})FUT", symbol)
    expiry = _date(match[2], match[3], match[4]) if match else None
    if match is None or expiry is None:
        return None
    if match[1] == "BANKNIFTY":
        return FutureTerms(match[1], expiry, _bank_nifty_lots(expiry)[0], _FIVE_PAISE)
    known = _FUTURES.get(match[1])
    return FutureTerms(match[1], expiry, known[1], known[0]) if known else None


@lru_cache(maxsize=4_096)
def listed(dialect: str, symbol: str) -> Instrument | None:
    """The instrument of this symbol in this dialect, None if the venue doesn't list it."""
    if dialect == BINANCE:
        return BINANCE_SYMBOLS.get(symbol)
    return _index(symbol) or _option(symbol) or _future(symbol)


def instrument_of(dialect: str, symbol: str) -> Instrument:
    """The instrument of an order that was accepted, which is always listed."""
    instrument = listed(dialect, symbol)
    if instrument is None:
        raise Bug("broken promise: what trades is listed", dialect=dialect, symbol=symbol)
    return instrument


def source_of(symbol: str) -> str | None:
    """The source that sets this symbol's price; None for what follows another (options)."""
    name = ALIASES.get(symbol, symbol)
    if name in FIRST_PRICES:
        return name
    future = _future(name)
    return future.source if future else None


def _index(symbol: str) -> Instrument | None:
    if symbol != "BANKNIFTY":
        return None
    return Instrument(
        symbol=symbol,
        dialect=OPENALGO,
        exchange="NSE_INDEX",
        source=symbol,
        tick=_FIVE_PAISE,
        steps=(_ONE,),
        is_tradable=False,
    )


def _option(symbol: str) -> Instrument | None:
    match = _OPTION.fullmatch(symbol)
    expiry = _date(match[1], match[2], match[3]) if match else None
    if match is None or expiry is None or int(match[4]) % _STRIKE_STEP:
        return None
    return Instrument(
        symbol=symbol,
        dialect=OPENALGO,
        exchange="NFO",
        source="BANKNIFTY",
        tick=_FIVE_PAISE,
        steps=_bank_nifty_lots(expiry),
        most=_BANK_NIFTY_MOST,
        option=OptionTerms(strike=Decimal(match[4]), expiry=expiry, is_call=match[5] == "CE"),
    )


def _bank_nifty_lots(expiry: date) -> tuple[Decimal, ...]:
    # Series before January 2026 trade in both sizes here: a replay of old signals may size with
    # today's lot, and the lot of its day is right too.
    today = (Decimal(30),)
    return today if expiry >= date(2026, 1, 1) else (Decimal(35), *today)


def _future(symbol: str) -> Instrument | None:
    match = _FUTURE.fullmatch(symbol)
    if match is None or _date(match[2], match[3], match[4]) is None:
        return None
    tick, lot, most = _FUTURES[match[1]]
    return Instrument(
        symbol=symbol,
        dialect=OPENALGO,
        exchange="MCX",
        source=match[1],
        tick=tick,
        steps=(lot,),
        most=most,
    )


def _date(day: str, month: str, year: str) -> date | None:
    try:
        return date(2000 + int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError:
        return None
