"""Bars, the random walk, and what is listed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from onefill.core.errors import ConfigurationError
from onefill.venue.clock import Dice
from onefill.venue.engine import Engine
from onefill.venue.feed import follow, read_bars
from onefill.venue.instruments import BINANCE, OPENALGO, listed, source_of
from onefill.venue.options import VenueOptions

BARS = (
    "Instrument,Date,Time,Open,High,Low,Close\n"
    "BANKNIFTY,20240101,09:15,48203.45,48282.35,48152.30,48160.65\n"
    "GOLD_MINI,20240101,09:15,63000,63100,62900,63050\n"
    "BANKNIFTY,20240101,09:16,48163.95,48180.05,48134.90,48170.90\n"
)


@pytest.mark.req("ORD-13")
def test_bars_are_read_plain_and_packed(tmp_path: Path) -> None:
    plain, packed = tmp_path / "bars.csv", tmp_path / "bars.csv.gz"
    plain.write_text(BARS)
    packed.write_bytes(gzip.compress(BARS.encode()))
    bars = list(read_bars(plain))
    assert bars == list(read_bars(packed))
    assert [bar.source for bar in bars] == ["BANKNIFTY", "GOLDM", "BANKNIFTY"]
    falling, _, rising = bars
    assert falling.path[1] == falling.high
    assert rising.path[1] == rising.low


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Date,Time\n", "lacks columns"),
        (BARS + "BANKNIFTY,20240101,09:17,1,1,x,1\n", "can't be read"),
        (BARS + "ACME,20240101,09:17,1,1,1,1\n", "can't be read"),
    ],
)
def test_a_file_that_holds_no_bars_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        list(read_bars(path))


@pytest.mark.req("ORD-13")
async def test_bars_move_the_prices_to_their_last_close(
    tmp_path: Path, open_engine: Callable[..., Engine]
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(BARS)
    engine = open_engine()
    await follow(VenueOptions(data=tmp_path, bars=path, bar_ms=1), engine, Dice(1))
    assert engine.market.source_price("BANKNIFTY") == Decimal("48170.90")
    assert engine.market.source_price("GOLDM") == Decimal("63050")


def test_dice_with_the_same_seed_fall_the_same_way() -> None:
    one, other = Dice(7), Dice(7)
    assert [one.step() for _ in range(5)] == [other.step() for _ in range(5)]


@pytest.mark.req("IF-13")
@pytest.mark.parametrize(
    ("dialect", "symbol", "source"),
    [
        (BINANCE, "BTCUSDT", "BTCUSDT"),
        (BINANCE, "ETHUSDT", "ETHUSDT"),
        (BINANCE, "SIM001", "SIM001"),
        (BINANCE, "SIM100", "SIM100"),
        (OPENALGO, "BANKNIFTY30DEC2560000PE", "BANKNIFTY"),
        (OPENALGO, "BANKNIFTY27JAN2652500CE", "BANKNIFTY"),
        (OPENALGO, "GOLDM05JAN26FUT", "GOLDM"),
        (OPENALGO, "COPPER30JAN26FUT", "COPPER"),
        (OPENALGO, "SILVERM27FEB26FUT", "SILVERM"),
    ],
)
def test_the_venue_lists_what_its_contract_names(dialect: str, symbol: str, source: str) -> None:
    instrument = listed(dialect, symbol)
    assert instrument is not None
    assert instrument.source == source


@pytest.mark.parametrize(
    "symbol",
    ["BANKNIFTY30DEC2560050PE", "BANKNIFTY31FEB2660000PE", "GOLDM32JAN26FUT", "SIM101", "ACME"],
)
def test_nothing_else_is_listed(symbol: str) -> None:
    assert listed(OPENALGO, symbol) is None
    assert listed(BINANCE, symbol) is None
    assert source_of(symbol) is None


def test_bank_nifty_lots_follow_their_series() -> None:
    january, december = (
        listed(OPENALGO, symbol)
        for symbol in ("BANKNIFTY27JAN2660000CE", "BANKNIFTY30DEC2560000CE")
    )
    assert january is not None
    assert december is not None
    assert january.fits(Decimal(60))
    assert not january.fits(Decimal(35))
    assert december.fits(Decimal(35))
