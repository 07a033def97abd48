"""What moves the prices: recorded bars, or a seeded random walk."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TextIO

from onefill.core.errors import ConfigurationError
from onefill.venue.clock import Dice
from onefill.venue.engine import Engine
from onefill.venue.instruments import ALIASES, FIRST_PRICES
from onefill.venue.options import VenueOptions
from onefill.venue.wire import decimal_of

COLUMNS = ("Instrument", "Date", "Time", "Open", "High", "Low", "Close")
_STEP = Decimal("0.0004")
"""The deviation of one step of the random walk, as a part of the price."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of one price source. when: date and time as the file writes them."""

    source: str
    when: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @property
    def path(self) -> tuple[Decimal, ...]:
        """The prices of the bar in the order that is likeliest: first against its direction."""
        if self.close >= self.open:
            return (self.open, self.low, self.high, self.close)
        return (self.open, self.high, self.low, self.close)


def read_bars(path: Path) -> Iterator[Bar]:
    """The bars of a CSV file (plain or .gz) with the columns of COLUMNS, as they come.

    Raises ConfigurationError, with the line, for what is not such a file.
    """
    with _open(path) as lines:
        rows = csv.DictReader(lines)
        absent = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if absent:
            raise ConfigurationError("the file of bars lacks columns", file=path, absent=absent)
        for row in rows:
            yield _bar(row, path, rows.line_num)


async def follow(options: VenueOptions, engine: Engine, dice: Dice) -> None:
    """Move the prices until the bars end, or for ever; without a feed return at once."""
    if options.bars is not None:
        await _play(read_bars(options.bars), engine, options.bar_ms)
    elif options.seed is not None:
        await _walk(engine, dice, options.bar_ms)


async def _play(bars: Iterator[Bar], engine: Engine, bar_ms: int) -> None:
    for _, same_time in groupby(bars, key=lambda bar: bar.when):
        for bar in same_time:
            for price in bar.path:
                engine.tick(bar.source, price)
        await asyncio.sleep(bar_ms / 1_000)


async def _walk(engine: Engine, dice: Dice, step_ms: int) -> None:
    while True:
        await asyncio.sleep(step_ms / 1_000)
        for source in FIRST_PRICES:
            price = engine.market.source_price(source)
            step = price * _STEP * Decimal(repr(dice.step()))
            engine.tick(source, max((price + step).quantize(_CENT), _CENT))


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _bar(row: dict[str, str], path: Path, line: int) -> Bar:
    prices = [decimal_of(row[name]) for name in COLUMNS[3:]]
    name = (row["Instrument"] or "").strip()
    source = ALIASES.get(name, name)
    if source not in FIRST_PRICES or any(price is None or price <= 0 for price in prices):
        raise ConfigurationError(
            "a bar can't be read",
            remedy=f"Instruments are {', '.join(ALIASES)}, and what the venue lists.",
            file=path,
            line=line,
        )
    return Bar(source, f"{row['Date']} {row['Time']}", *(price for price in prices if price))
