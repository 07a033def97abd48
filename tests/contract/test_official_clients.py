"""Clients that others wrote trade at the paper venue, unchanged: it speaks what brokers speak.

Each runs once, as a program of its own, and prints what it was told. A client that is not
installed fails here: without them nobody but us would say that the venue is honest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from broker_support import PaperVenue, paper_venues

__all__ = ["paper_venues"]

pytestmark = pytest.mark.req("ORD-6", "ORD-13", "Q-4")

PROGRAMS = Path(__file__).parent / "clients"
SDK, CCXT, OPENALGO = "binance_own_sdk", "ccxt_binanceusdm", "openalgo_own_client"
ETHER, BITCOIN = Decimal(3_000), Decimal(60_000)

Told = dict[str, Any]


@pytest.fixture(scope="module")
def venue(paper_venues: Callable[[str], PaperVenue]) -> PaperVenue:
    return paper_venues("B")


@pytest.fixture(scope="module")
def told(venue: PaperVenue) -> dict[str, Told]:
    """What each client was told; they run side by side, each on an account of its own."""
    running = {
        name: subprocess.Popen(
            [sys.executable, str(PROGRAMS / f"{name}.py"), venue.url],
            env=os.environ | {"NO_PROXY": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in (SDK, CCXT, OPENALGO)
    }
    said = {name: (program, *program.communicate(timeout=240)) for name, program in running.items()}
    for name, (program, _, complaint) in said.items():
        assert program.returncode == 0, f"{name}: {complaint}"
    return {name: json.loads(printed) for name, (_, printed, _) in said.items()}


@pytest.fixture
def sdk(told: dict[str, Told]) -> Told:
    return told[SDK]


@pytest.fixture
def ccxt(told: dict[str, Told]) -> Told:
    return told[CCXT]


@pytest.fixture
def openalgo(told: dict[str, Told]) -> Told:
    return told[OPENALGO]


def executed(venue: PaperVenue, account: str) -> list[tuple[str, str, str]]:
    """Side, quantity and client order id of what the ledger says that the account executed."""
    orders = [row for row in venue.call("GET", "/ledger")["orders"] if row["account"] == account]
    return [(row["side"], row["filled_quantity"], row["client_order_id"]) for row in orders]


def test_binances_sdk_places_asks_changes_and_cancels(sdk: Told, venue: PaperVenue) -> None:
    bought, resting = sdk["bought"], sdk["resting"]
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.02")
    assert sdk["asked"]["orderId"] == bought["orderId"]
    assert (sdk["asked"]["clientOrderId"], sdk["asked"]["cumQuote"]) == ("sdk-1", "60")
    assert (resting["status"], resting["clientOrderId"]) == ("NEW", "sdk-2")
    assert [row["orderId"] for row in sdk["open"]] == [resting["orderId"]]
    assert sdk["open one"]["orderId"] == resting["orderId"]
    assert (sdk["modified"]["origQty"], sdk["modified"]["price"]) == ("0.03", "2100")
    assert sdk["cancelled"]["status"] == "CANCELED"
    assert [row["status"] for row in sdk["all"]] == ["FILLED", "CANCELED"]
    (first, *_) = sdk["trades"]
    assert (first["orderId"], first["price"], first["qty"]) == (bought["orderId"], "3000", "0.02")
    bought_once, sold_once = executed(venue, "sdk")
    assert bought_once == ("BUY", "0.02", "sdk-1")
    assert sold_once[:2] == ("SELL", "0.02")


def test_binances_sdk_reads_funds_positions_and_leverage(sdk: Told) -> None:
    for account in (sdk["account 2"], sdk["account 3"]):
        assert Decimal(account["totalInitialMargin"]) == Decimal("0.02") * ETHER / 20
        bound = Decimal(account["totalMarginBalance"]) - Decimal(account["availableBalance"])
        assert bound == Decimal(account["totalInitialMargin"])
        (held,) = account["positions"]
        assert (held["symbol"], held["positionAmt"]) == ("ETHUSDT", "0.02")
    for (balance,) in (sdk["balance 2"], sdk["balance 3"]):
        assert (balance["asset"], balance["balance"]) == ("USDT", "1000000000")
    for (position,) in (sdk["positions 2"], sdk["positions 3"]):
        assert (position["positionAmt"], position["entryPrice"]) == ("0.02", "3000")
    assert sdk["mode"] == {"dualSidePosition": False}
    (bracketed,) = sdk["brackets"]
    assert bracketed["brackets"][0]["initialLeverage"] == 20
    assert Decimal(sdk["fees"]["takerCommissionRate"]) == 0


def test_binances_sdk_reads_the_market(sdk: Told) -> None:
    assert sdk["ping"] is not None
    assert sdk["time"]["serverTime"] > 0
    assert {"BTCUSDT", "ETHUSDT", "SIM100"} <= set(sdk["listed"])
    stated = [
        sdk["mark"]["markPrice"],
        sdk["price 1"]["price"],
        sdk["price 2"]["price"],
        sdk["offers"]["bidPrice"],
        sdk["depth"]["bids"][0][0],
        sdk["depth"]["asks"][0][0],
        sdk["day"]["lastPrice"],
    ]
    assert {Decimal(price) for price in stated} == {ETHER}


def test_binances_sdk_knows_the_venues_refusals_as_binances(sdk: Told) -> None:
    for step, code in (
        ("taken", -4116),
        ("no longer open", -2013),
        ("unknown order", -2013),
        ("unknown cancel", -2011),
        ("too fine", -1111),
        ("nothing to reduce", -2022),
    ):
        kind, _, words = sdk[step]
        assert kind == "BadRequestError", step
        assert str(code) in words, step


def test_ccxt_places_asks_changes_and_cancels(ccxt: Told, venue: PaperVenue) -> None:
    bought, resting = ccxt["bought"], ccxt["resting"]
    assert (bought["status"], bought["filled"], bought["average"]) == ("closed", 0.01, 60_000)
    assert ccxt["asked"]["id"] == ccxt["asked by our id"]["id"] == bought["id"]
    assert ccxt["asked"]["clientOrderId"] == "ccxt-1"
    assert [order["id"] for order in ccxt["open"]] == [resting["id"]]
    assert ccxt["open one"]["status"] == "open"
    assert (ccxt["modified"]["amount"], ccxt["modified"]["price"]) == (0.02, 31_000)
    assert ccxt["cancelled"]["status"] == "canceled"
    assert [order["status"] for order in ccxt["all"]] == ["closed", "canceled"]
    (first, *_) = ccxt["trades"]
    assert (first["order"], first["cost"]) == (bought["id"], 600)
    assert first["takerOrMaker"] == "taker"
    bought_once, sold_once = executed(venue, "ccxt")
    assert bought_once == ("BUY", "0.01", "ccxt-1")
    assert sold_once[:2] == ("SELL", "0.01")


def test_ccxt_reads_funds_positions_and_leverage(ccxt: Told) -> None:
    assert ccxt["balance"] == {"free": 999_999_970, "used": 30, "total": 1_000_000_000}
    for (position,) in (ccxt["positions"], ccxt["risk"]):
        assert (position["side"], position["contracts"]) == ("long", 0.01)
        assert (position["entryPrice"], position["notional"]) == (60_000, 600)
        assert position["initialMargin"] == 30
    assert ccxt["mode"]["hedged"] is False
    ((_, (tier,)),) = ccxt["brackets"].items()
    assert tier["maxLeverage"] == 20
    assert ccxt["fees"]["taker"] == 0


def test_ccxt_reads_the_market(ccxt: Told) -> None:
    assert {"BTC/USDT:USDT", "ETH/USDT:USDT"} <= set(ccxt["listed"])
    assert ccxt["time"] > 0
    ((_, offers),) = ccxt["offers"].items()
    ((_, last),) = ccxt["price"].items()
    stated = [offers["bid"], offers["ask"], last["price"], ccxt["mark"]["markPrice"]]
    stated += [ccxt["day"]["last"], ccxt["depth"]["bids"][0][0], ccxt["depth"]["asks"][0][0]]
    assert set(stated) == {float(BITCOIN)}


def test_ccxt_knows_the_venues_refusals_as_binances(ccxt: Told) -> None:
    assert ccxt["unknown order"][0] == ccxt["unknown cancel"][0] == "OrderNotFound"
    kind, words = ccxt["nothing to reduce"]
    assert kind == "ExchangeError"
    assert "-2022" in words


def test_openalgos_client_places_asks_changes_and_cancels(
    openalgo: Told, venue: PaperVenue
) -> None:
    bought, resting = openalgo["bought"]["orderid"], openalgo["resting"]["orderid"]
    asked = openalgo["asked"]["data"]
    assert (asked["orderid"], asked["order_status"], asked["quantity"]) == (bought, "complete", 30)
    assert openalgo["modified"] == {"status": "success", "orderid": resting}
    rows = {row["orderid"]: row for row in openalgo["order book"]["data"]["orders"]}
    assert (rows[resting]["quantity"], rows[resting]["price"]) == (60, 2)
    assert rows[resting]["order_status"] == "open"
    assert openalgo["order book"]["data"]["statistics"]["total_completed_orders"] == 1
    assert openalgo["cancelled"] == {"status": "success", "orderid": resting}
    assert openalgo["asked again"]["data"]["order_status"] == "cancelled"
    assert executed(venue, "openalgo") == [("BUY", "30", "mine")]


def test_openalgos_client_reads_books_funds_and_quotes(openalgo: Told) -> None:
    (trade,) = openalgo["trade book"]["data"]
    assert (trade["orderid"], trade["quantity"]) == (openalgo["bought"]["orderid"], 30)
    (position,) = openalgo["position book"]["data"]
    assert (position["symbol"], position["quantity"]) == (trade["symbol"], 30)
    assert openalgo["funds"]["data"]["availablecash"] == "1000000000.00"
    quotes = openalgo["quotes"]["data"]
    assert quotes["bid"] == quotes["ask"] == quotes["ltp"] == trade["average_price"]


def test_openalgos_client_is_told_what_is_wrong(openalgo: Told) -> None:
    for step, status, words in (
        ("no lot", 400, "quantity must be a multiple of the lot size 30"),
        ("unknown order", 404, "Order not found"),
        ("no key", 403, "Invalid openalgo apikey"),
    ):
        answer = openalgo[step]
        assert (answer["status"], answer["error_type"]) == ("error", "http_error")
        assert answer["code"] == status
        assert words in answer["message"]
