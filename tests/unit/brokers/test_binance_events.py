"""Events of Binance's user stream, read one by one: repeated, out of order, and with gaps."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest

from onefill.brokers.binance.events import EventReader, KeyExpired
from onefill.core.orders.report import OrderReport, OrderStatus
from onefill.core.orders.stream_words import Nudge, Stirred, StreamWord

NAME = "oftst0123456789abcde"
ALGO = 2148719


def event(kind: str, **order: Any) -> str:
    return json.dumps({"e": kind, "E": 1, "T": 1, "o": order})


def order(status: str, filled: int, **more: Any) -> str:
    """An order of four, as its event shows it; averages are what Binance rounds them to."""
    fields = {"s": "SIM001", "c": NAME, "S": "BUY", "i": 77, "q": "4", "ot": "LIMIT", "p": "90"}
    base = {**fields, "x": status, "X": status, "z": str(filled), "ap": "89.33333"}
    return event("ORDER_TRADE_UPDATE", **{**base, **more})


def trade(number: int, filled: int, price: str) -> str:
    status = "FILLED" if filled == 4 else "PARTIALLY_FILLED"
    return order(status, filled, x="TRADE", t=number, l="1", L=price)


def algo(status: str, became: str = "", **more: Any) -> str:
    fields = {"caid": NAME, "aid": ALGO, "s": "SIM001", "q": "4", "tp": "95", "ai": became}
    return event("ALGO_UPDATE", **{**fields, "X": status, **more})


TRADES = [trade(n, n, price) for n, price in enumerate(("90", "89.5", "88.5", "90"), 1)]


def read(*events: str, passes_ids_on: bool = True) -> list[StreamWord | KeyExpired | None]:
    reader = EventReader(passes_ids_on=passes_ids_on)
    return [reader.read(each) for each in events]


def best(words: list[StreamWord | KeyExpired | None]) -> OrderReport:
    reports = [word for word in words if isinstance(word, OrderReport)]
    return max(reports, key=lambda report: report.filled_quantity)


@pytest.mark.req("ORD-10")
@pytest.mark.parametrize("events", list(itertools.permutations(TRADES)))
def test_in_whatever_order_trades_come_the_whole_quantity_is_heard(events: tuple[str, ...]) -> None:
    report = best(read(*events))
    assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, 4)
    # Exact where all were heard before the last one, else by the average, to Binance's places.
    assert abs(report.filled_value - Decimal(358)) < 1
    if events == tuple(TRADES):
        assert report.filled_value == 358


@pytest.mark.req("ORD-10")
def test_repeats_say_the_same_again() -> None:
    words = read(TRADES[0], TRADES[0], TRADES[1], TRADES[1])
    assert words[0] == words[1]
    assert words[2] == words[3]
    assert isinstance(words[3], OrderReport)
    assert words[3].filled_value == Decimal("179.5")
    assert [t.trade_id for t in words[3].trades] == ["1", "2"]


@pytest.mark.req("ORD-10")
def test_a_gap_is_bridged_by_the_average_price() -> None:
    (word,) = read(trade(3, 3, "88.5"))
    assert isinstance(word, OrderReport)
    assert (word.filled_quantity, word.filled_value) == (3, 3 * Decimal("89.33333"))


@pytest.mark.req("ORD-12")
def test_fills_of_what_a_conditional_order_became_are_the_conditional_orders() -> None:
    waiting, triggered, filled = read(
        algo("NEW"),
        algo("TRIGGERED", "77"),
        order("FILLED", 4, c="x-made-by-binance", ot="MARKET", x="TRADE", t=1, l="4", L="94"),
    )
    assert isinstance(waiting, OrderReport)
    assert isinstance(filled, OrderReport)
    assert (waiting.broker_order_id, waiting.trigger_price) == (f"algo-{ALGO}", 95)
    assert triggered == Nudge(client_order_id=NAME)
    assert (filled.broker_order_id, filled.client_order_id) == (f"algo-{ALGO}", NAME)
    assert (filled.status, filled.filled_value) == (OrderStatus.FILLED, 4 * 94)


@pytest.mark.req("ORD-12")
def test_a_fill_that_overtakes_the_news_of_its_trigger_is_only_a_nudge() -> None:
    early = order("FILLED", 4, ot="STOP_MARKET", x="TRADE", t=1, l="4", L="94")
    assert read(early) == [Nudge(client_order_id=NAME)]


@pytest.mark.req("ORD-12")
@pytest.mark.parametrize(
    ("status", "became", "meant"),
    [
        ("CANCELED", "", OrderStatus.CANCELLED),
        ("EXPIRED", "", OrderStatus.CANCELLED),
        ("REJECTED", "", OrderStatus.REJECTED),
        ("CANCELED", "77", None),
        ("FINISHED", "77", None),
        ("SOMETHING_NEW", "", None),
    ],
)
def test_only_an_end_without_an_order_is_an_end(
    status: str, became: str, meant: OrderStatus | None
) -> None:
    (word,) = read(algo(status, became))
    if meant is None:
        assert word == Nudge(client_order_id=NAME)
    else:
        assert isinstance(word, OrderReport)
        assert word.status is meant


@pytest.mark.req("ORD-10")
def test_a_fill_without_a_price_and_a_status_that_is_new_are_nudges() -> None:
    vague = order("PARTIALLY_FILLED", 1, ap="0", x="CALCULATED")
    assert read(vague, order("DREAMING", 0)) == [Nudge(client_order_id=NAME)] * 2


@pytest.mark.req("ORD-10", "Q-5")
@pytest.mark.parametrize("figure", ["NaN", "sNaN", "Infinity", "9e999999", "-1", "1e-999999"])
@pytest.mark.parametrize("name", ["q", "z", "ap", "l", "L", "p"])
def test_an_absurd_figure_is_a_nudge_and_never_a_fill(name: str, figure: str) -> None:
    trade = {"x": "TRADE", "t": 1, "l": "1", "L": "94"}
    assert read(order("FILLED", 4, **{**trade, name: figure})) == [Nudge(client_order_id=NAME)]


@pytest.mark.req("ORD-10", "Q-5")
def test_an_order_that_it_became_without_a_proper_number_is_looked_up() -> None:
    for became in ("²", "٣", "-1", "7" * 50):
        assert read(algo("FINISHED", became)) == [Nudge(client_order_id=NAME)]


@pytest.mark.req("ORD-9")
def test_what_is_not_ours_stirs_only_where_it_trades() -> None:
    theirs = [order("NEW", 0, c="autoclose-1"), order("FILLED", 4, c="autoclose-1", x="TRADE")]
    quiet, stirred = read(*theirs)
    assert quiet is None
    assert isinstance(stirred, Stirred)
    moved = {"m": "ADJUSTMENT", "P": [{"s": "SIM001"}]}
    account = {"e": "ACCOUNT_UPDATE", "a": moved}
    assert isinstance(read(json.dumps(account))[0], Stirred)
    by_order = {"e": "ACCOUNT_UPDATE", "a": {**moved, "m": "ORDER"}}
    assert read(json.dumps(by_order), json.dumps({"e": "MARGIN_CALL"})) == [None, None]


def test_an_expired_key_is_no_word_about_orders() -> None:
    assert read(json.dumps({"e": "listenKeyExpired", "listenKey": "k"})) == [KeyExpired()]


@pytest.mark.req("ORD-10", "ORD-12")
def test_an_order_of_another_symbol_with_the_same_number_is_another_order() -> None:
    name = "oftst9876543210abcde"
    other = {"s": "SIM002", "c": name, "x": "TRADE", "t": 9, "l": "1", "L": "7", "ap": "7"}
    *_, report = read(TRADES[0], order("PARTIALLY_FILLED", 1, **other))
    assert isinstance(report, OrderReport)
    assert (report.symbol, report.filled_value) == ("SIM002", 7)
    assert [trade.trade_id for trade in report.trades] == ["9"]
    *_, report = read(algo("FINISHED", became="77"), order("PARTIALLY_FILLED", 1, **other))
    assert isinstance(report, OrderReport)
    assert (report.broker_order_id, report.client_order_id) == ("77", name)
