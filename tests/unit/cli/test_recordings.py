"""Recordings become signals, in the order in which they were."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from onefill.cli.errors import Usage
from onefill.cli.fill_in import Distance
from onefill.cli.replaying.export import read_export, slot_of
from onefill.cli.replaying.lines import read_lines
from onefill.cli.replaying.report import Recording, notes
from onefill.cli.replaying.step import in_order
from onefill.core.intake.parse import Valid, parse
from onefill.core.intake.signal_time import Zones
from support import ROOT
from unit.cli.recordings import HEAD, KOLKATA, TRADES, filled

REAL = ROOT.parent / "shared" / "data" / "tradingview_trades_bank_nifty.csv"


@pytest.mark.req("SIG-20")
def test_trades_become_signals_in_time_order_with_exits_first() -> None:
    steps = in_order(read_export(TRADES, filled(), KOLKATA).steps)
    told = [(f"{step.at:%m-%d %H:%M}", step.kind, step.body["position"]) for step in steps]
    assert told == [
        ("02-13 13:15", "BASE_ENTRY", "Long_1"),
        ("02-16 09:15", "EXIT", "Long_1"),
        ("02-16 09:15", "BASE_ENTRY", "Long_1"),
        ("03-24 10:15", "PYRAMID", "Long_2"),
        ("03-24 13:15", "EXIT", "Long_1"),
        ("03-24 13:15", "EXIT", "Long_2"),
        ("03-25 09:15", "BASE_ENTRY", "Long_1"),
    ]


def test_the_exit_of_an_entry_of_the_same_moment_comes_after_it() -> None:
    text = HEAD + (
        "1,Exit long,2024-01-01 10:00,EXIT,99,1,1,1\n"
        "1,Entry long,2024-01-01 10:00,ENTRY-1L,100,1,1,1\n"
    )
    steps = in_order(read_export(text, filled(), KOLKATA).steps)
    assert [step.kind for step in steps] == ["BASE_ENTRY", "EXIT"]


def test_a_trade_that_is_still_open_has_no_exit() -> None:
    export = read_export(TRADES, filled(), KOLKATA)
    assert (export.trades, export.still_open) == (4, ["4"])
    assert sum(step.kind == "EXIT" for step in export.steps) == 3


@pytest.mark.req("SIG-20")
def test_what_the_export_matched_first_in_first_out_is_told_apart_by_size() -> None:
    """The pyramid's one lot ended first; the export shows it as a part of the base's trade."""
    text = HEAD + (
        "1,Exit long,2024-01-02 10:00,EXIT,99,1,1,1\n"
        "1,Entry long,2024-01-01 10:00,ENTRY-11L,90,1,1,1\n"
        "2,Exit long,2024-01-03 10:00,EXIT,95,10,1,1\n"
        "2,Entry long,2024-01-01 10:00,ENTRY-11L,90,10,1,1\n"
        "3,Exit long,2024-01-03 10:00,EXIT,95,1,1,1\n"
        "3,Entry long,2024-01-01 12:00,PYR1-1L,92,1,1,1\n"
    )
    export = read_export(text, filled(lots_from_file=True), KOLKATA)
    told = [(s.kind, s.body["position"], s.body["lots"], s.price) for s in in_order(export.steps)]
    assert told == [
        ("BASE_ENTRY", "Long_1", 11, Decimal(90)),
        ("PYRAMID", "Long_2", 1, Decimal(92)),
        ("EXIT", "Long_2", 1, Decimal(99)),
        ("EXIT", "Long_1", 11, Decimal(95)),
    ]
    assert (export.trades, export.orders) == (3, 2)


@pytest.mark.req("SIG-20")
def test_sizes_that_add_up_to_nothing_end_what_the_export_names() -> None:
    text = HEAD + (
        "1,Exit long,2024-01-02 10:00,EXIT,99,5,1,1\n"
        "1,Entry long,2024-01-01 10:00,ENTRY-11L,90,5,1,1\n"
        "2,Exit long,2024-01-03 10:00,Open,95,6,1,1\n"
        "2,Entry long,2024-01-01 10:00,ENTRY-11L,90,6,1,1\n"
    )
    exits = [s for s in read_export(text, filled(), KOLKATA).steps if s.kind == "EXIT"]
    assert [(s.body["position"], s.price) for s in exits] == [("Long_1", Decimal(99))]


@pytest.mark.parametrize(
    ("signal", "slot"),
    [("ENTRY-15L", "Long_1"), ("EOD-ENTRY-14L", "Long_1"), ("PYR1-1L", "Long_2"),
     ("PYR3-2L", "Long_4"), ("Pyramid 2", "Long_3")],
)  # fmt: skip
def test_the_name_of_an_entry_tells_its_slot(signal: str, slot: str) -> None:
    assert slot_of(signal) == slot


def test_columns_are_found_by_name_whatever_their_order_and_currency() -> None:
    text = (
        "Signal,Price,Contracts,Date and time,Type,Trade number\n"
        'ENTRY-2L,"52,000.5",2,2024-01-01 10:00,Entry long,7\n'
    )
    (step,) = read_export(text, filled(lots_from_file=True), KOLKATA).steps
    assert (step.price, step.body["lots"]) == (Decimal("52000.5"), 2)
    assert step.at.astimezone(UTC) == datetime(2024, 1, 1, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", "no column for: trade, type"),
        (HEAD + "1,Entry long,yesterday,ENTRY,1,1,1,1\n", "line 2 can't be read"),
        (HEAD + "1,Entry long,2024-01-01 10:00,ENTRY,-1,1,1,1\n", "line 2 can't be read"),
        (HEAD + "1,Hold,2024-01-01 10:00,ENTRY,1,1,1,1\n", "neither an entry nor an exit"),
        (HEAD + "1,Entry long\n", "too few columns"),
    ],
)
def test_what_is_no_export_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(Usage, match=complaint):
        read_export(text, filled(), KOLKATA)


def test_short_trades_are_left_out_and_named() -> None:
    text = HEAD + "1,Entry short,2024-01-01 10:00,S,100,1,1,1\n"
    export = read_export(text, filled(), KOLKATA)
    assert export.steps == []
    assert "Entry short" in export.skipped[0]


@pytest.mark.req("SIG-20")
def test_what_the_export_lacks_comes_from_options_and_is_named() -> None:
    export = read_export(TRADES, filled(), KOLKATA)
    entry = next(step for step in export.steps if step.kind == "BASE_ENTRY")
    assert entry.body["stop"] == Decimal("4504.33")
    assert (entry.body["atr"], entry.body["er"]) == (Decimal("45.96"), Decimal(1))
    said = notes(Recording(export.steps, sorted(export.filled_in)), filled())
    assert said[0].startswith("Not in the file, from options: atr, er, lots, stop, supertrend")


def test_every_replayed_signal_is_one_that_intake_takes() -> None:
    zones = Zones.named({"BANK_NIFTY": "Asia/Kolkata"})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for step in read_export(TRADES, filled(), KOLKATA).steps:
        read = parse(json.dumps(step.body, default=str).encode(), now=now, zones=zones)
        assert isinstance(read, Valid), read
        assert read.signal.time == step.at


def test_lines_are_signals_of_their_own_and_only_completed() -> None:
    text = (
        '{"type": "exit", "instrument": "GOLD_MINI", "price": 78001, "timestamp": 1700000000}\n'
        '\n{"action": "buy", "ticker": "SIM001", "contracts": 2, "secret": "s", '
        '"timestamp": "2023-11-14T22:13:19Z"}\n'
    )
    later, earlier = read_lines(text, filled(), KOLKATA).steps
    assert in_order([later, earlier]) == [earlier, later]
    assert later.body["position"] == "ALL"
    assert later.body["instrument"] == "GOLD_MINI"
    assert "secret" not in earlier.body
    assert "stop" not in earlier.body
    assert earlier.body["portfolio"] == "replay"


@pytest.mark.parametrize("text", ["{", "[1]", '{"type": "EXIT", "timestamp": "soon"}'])
def test_lines_that_are_no_signals_are_refused_with_their_number(text: str) -> None:
    with pytest.raises(Usage, match="line 1"):
        read_lines(text, filled(), KOLKATA)


@pytest.mark.parametrize(
    ("written", "points"), [("2%", "1000.00"), ("0.5%", "250.00"), ("350", "350.00")]
)
def test_a_distance_is_points_or_a_part_of_the_price(written: str, points: str) -> None:
    assert Distance.parse(written).of(Decimal(50_000)) == Decimal(points)


@pytest.mark.parametrize("written", ["", "two", "-1%", "%", "1.2.3"])
def test_a_distance_is_nothing_else(written: str) -> None:
    with pytest.raises(Usage):
        Distance.parse(written)


@pytest.mark.req("SIG-20")
@pytest.mark.skipif(not REAL.is_file(), reason="the recorded trades are not beside the project")
def test_the_recorded_export_is_read_whole() -> None:
    export = read_export(REAL.read_text(encoding="utf-8-sig"), filled(lots_from_file=True), KOLKATA)
    kinds = Counter(step.kind for step in export.steps)
    assert kinds == {"EXIT": 699, "BASE_ENTRY": 327, "PYRAMID": 373}
    assert (export.trades, export.orders) == (825, 700)
    assert (export.still_open, export.skipped) == (["825"], [])
    held: dict[object, int] = {}
    for step in in_order(export.steps):
        slot, lots = step.body["position"], step.body["lots"]
        if step.kind == "EXIT":
            assert held.pop(slot) == lots
        else:
            assert slot not in held
            assert slot == "Long_1" or "Long_1" in held
            held[slot] = lots  # type: ignore[assignment]
    assert held == {"Long_1": 330}
