"""OpenAlgo's answers, each as recorded: what it proves, and how gaps in its books are filled."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_support import HANG_UP, OPTION, ManualClock, RawServer, http_reply, in_doubt, intent_for
from onefill.brokers.accounts import OpenAlgoAccount, QuantityUnit
from onefill.brokers.openalgo.adapter import OpenAlgoBroker
from onefill.core.errors import BrokerUnavailable, ConfigurationError
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.issue import issue_cancel
from onefill.core.orders.report import (
    Absent,
    Found,
    NoAnswer,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)

API = "/api/v1"
PLACE = f"{API}/placeorder"
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."


def failure(message: Any) -> dict[str, Any]:
    return {"status": "error", "message": message}


def success(data: Any) -> bytes:
    return http_reply(200, {"status": "success", "data": data})


def book(*rows: dict[str, Any]) -> bytes:
    return success({"orders": list(rows), "statistics": {}})


def row(number: str = "250408000989443", **fields: Any) -> dict[str, Any]:
    """An order as the order book shows it through its Zerodha adapter."""
    return {
        "action": "BUY",
        "exchange": "NFO",
        "order_status": "complete",
        "orderid": number,
        "price": 0.0,
        "pricetype": "MARKET",
        "product": "NRML",
        "quantity": "30",
        "symbol": OPTION,
        "timestamp": "05-Jan-2026 09:30:03",
        "trigger_price": 0.0,
    } | fields


def trade(number: str, quantity: Any, price: Any, **fields: Any) -> dict[str, Any]:
    return {
        "action": "BUY",
        "average_price": price,
        "exchange": "NFO",
        "orderid": number,
        "product": "NRML",
        "quantity": quantity,
        "symbol": OPTION,
        "timestamp": "13:58:03",
        "trade_value": 0,
    } | fields


@contextlib.asynccontextmanager
async def broker_at(server: RawServer, **account: Any) -> AsyncIterator[OpenAlgoBroker]:
    server.fixed["/healthz"] = http_reply(200, {"class": "C", "lag_ms": 300})
    server.fixed[f"{API}/funds"] = success({"availablecash": "1.00"})
    server.fixed.setdefault(f"{API}/orderbook", book())
    server.fixed.setdefault(f"{API}/margin", http_reply(501, failure("Not supported")))
    server.fixed.setdefault(f"{API}/tradebook", success([]))
    async with server.running():
        login = OpenAlgoAccount(base_url=server.url, api_key="the-key", **account)
        broker = OpenAlgoBroker(login, ManualClock())
        await broker.start()
        try:
            yield broker
        finally:
            await broker.close()


async def answered(reply: bytes) -> tuple[Outcome, RawServer]:
    server = RawServer(replies=[reply])
    async with broker_at(server) as broker:
        return await broker.send(await broker.prepare(intent_for("openalgo"))), server


@pytest.mark.req("ORD-5", "ORD-6", "ORD-12")
@pytest.mark.parametrize(
    ("status", "message", "retry"),
    [
        (403, "Invalid openalgo apikey", False),
        (404, "Broker-specific module not found", False),
        (400, "Missing mandatory field(s): symbol", False),
        (400, "Invalid exchange. Must be one of: NSE, NFO", False),
        (400, "{'quantity': ['Quantity must be a positive integer.']}", False),
        (400, {"quantity": ["Quantity must be a positive integer."]}, False),
        (400, "Insufficient funds. Required margin is 95417.84.", False),
        (429, "Rate limit exceeded", True),
    ],
)
async def test_a_listed_refusal_proves_that_nothing_was_placed(
    status: int, message: Any, retry: bool
) -> None:
    outcome, server = await answered(http_reply(status, failure(message)))
    assert isinstance(outcome, NotPlaced)
    assert outcome.retry is retry
    assert len(server.posts_to(PLACE)) == 1


@pytest.mark.req("ORD-5", "ORD-12")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, failure(TIMED_OUT)),
        (400, failure("Something that no list knows")),
        (400, failure({})),
        (400, failure(None)),
        (500, failure("Failed to place order due to internal error")),
        (500, failure("Insufficient funds. Required margin is 95417.84.")),
        (503, failure("Service Unavailable.")),
        (502, b"Bad Gateway"),
        (429, b"slow down"),
        (200, failure("Invalid openalgo apikey")),
        (200, {"status": "success"}),
        (200, {"status": "success", "orderid": None}),
        (200, {"status": "success", "orderid": ""}),
        (200, {"status": "success", "mode": "semi_auto", "pending_order_id": 5}),
        (202, {"status": "success", "orderid": "1"}),
        (200, b""),
    ],
)
async def test_an_answer_that_is_not_listed_proves_nothing(status: int, body: Any) -> None:
    outcome, server = await answered(http_reply(status, body))
    assert isinstance(outcome, Unknown)
    assert len(server.posts_to(PLACE)) == 1


@pytest.mark.req("ORD-12")
async def test_a_placed_order_is_open_until_a_look_up_says_more() -> None:
    outcome, server = await answered(http_reply(200, {"status": "success", "orderid": "77"}))
    assert outcome == Placed(
        report=OrderReport(broker_order_id="77", status=OrderStatus.OPEN, symbol=OPTION)
    )
    sent = json.loads(server.posts_to(PLACE)[0])
    assert sent.pop("strategy").startswith("oftst")
    assert sent == {
        "apikey": "the-key",
        "symbol": OPTION,
        "exchange": "NFO",
        "action": "BUY",
        "product": "NRML",
        "pricetype": "MARKET",
        "quantity": "30",
        "price": "0",
        "trigger_price": "0",
        "disclosed_quantity": "0",
    }


async def report_by_id(status_row: dict[str, Any], *trades: dict[str, Any]) -> OrderReport:
    server = RawServer(
        fixed={
            f"{API}/orderstatus": success(status_row),
            f"{API}/tradebook": success(list(trades)),
        }
    )
    async with broker_at(server) as broker:
        intent = replace(intent_for("openalgo"), broker_order_id=status_row["orderid"])
        seen = await broker.look_up(intent, ())
    assert isinstance(seen, Found)
    return seen.report


@pytest.mark.req("ORD-10", "ORD-12")
@pytest.mark.parametrize(
    ("fields", "trades", "status", "filled", "value"),
    [
        ({}, [trade("9", "30", "10.5")], OrderStatus.FILLED, "30", "315.0"),
        ({}, [trade("9", 10, 10), trade("9", 20, 11)], OrderStatus.FILLED, "30", "320"),
        ({}, [trade("8", "30", "10.5")], OrderStatus.OPEN, "0", "0"),
        ({}, [trade("9", "10", "10.5")], OrderStatus.OPEN, "0", "0"),
        ({}, [trade("9", "30", "0")], OrderStatus.OPEN, "0", "0"),
        ({"average_price": 10.5}, [], OrderStatus.FILLED, "30", "315.0"),
        ({"average_price": 10}, [trade("9", 10, 10), trade("9", 20, 11)], "filled", "30", "320"),
        ({"average_price": 0}, [], OrderStatus.OPEN, "0", "0"),
        (
            {"order_status": "open", "filled_quantity": 10, "average_price": "10"},
            [],
            OrderStatus.PARTIALLY_FILLED,
            "10",
            "100",
        ),
        ({"order_status": "open"}, [], OrderStatus.OPEN, "0", "0"),
        ({"order_status": "trigger pending"}, [], OrderStatus.OPEN, "0", "0"),
        ({"order_status": "a new word"}, [], OrderStatus.OPEN, "0", "0"),
        ({"order_status": "REJECTED"}, [], OrderStatus.REJECTED, "0", "0"),
        ({"order_status": "cancelled"}, [], OrderStatus.CANCELLED, "0", "0"),
        (
            {"order_status": "cancelled"},
            [trade("9", "10", "10.5")],
            OrderStatus.CANCELLED,
            "10",
            "105.0",
        ),
        ({"order_status": "cancelled"}, [trade("9", "60", "1")], OrderStatus.OPEN, "0", "0"),
    ],
)
async def test_fills_are_reported_as_far_as_the_books_state_them(
    fields: dict[str, Any],
    trades: list[dict[str, Any]],
    status: OrderStatus,
    filled: str,
    value: str,
) -> None:
    report = await report_by_id(row("9", **fields), *trades)
    assert report.status == status
    assert (report.filled_quantity, report.filled_value) == (Decimal(filled), Decimal(value))


@pytest.mark.req("ORD-7")
async def test_the_only_new_order_that_looks_like_it_is_adopted() -> None:
    server = RawServer(fixed={f"{API}/orderbook": book(row("1"))})
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent_for("openalgo"))
        assert prepared.witnessed == ("1",)
        server.fixed[f"{API}/orderbook"] = book(
            row("1"),
            row("2", action="SELL"),
            row("3", quantity="60"),
            row("4", symbol="OTHER"),
            row("5", average_price="10"),
            {"orderid": "6"},
        )
        seen = await broker.look_up(in_doubt(prepared), ())
    assert isinstance(seen, Found)
    assert (seen.report.broker_order_id, seen.report.filled_quantity) == ("5", Decimal(30))


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(
    ("minutes", "form", "is_its"),
    [
        (4, "%d-%b-%Y %H:%M:%S", True),
        (6, "%d-%b-%Y %H:%M:%S", False),
        (6, "%Y-%m-%d %H:%M:%S", False),
        (6, "%Y-%m-%dT%H:%M:%S", False),
        (6, "%H:%M:%S", True),  # of which day it does not say
        (-600, "%d-%b-%Y %H:%M:%S", True),  # a server that writes UTC
        (6, "soon", True),
        (6, "", True),
    ],
)
async def test_a_like_order_of_long_after_is_somebody_elses(
    minutes: int, form: str, is_its: bool
) -> None:
    server = RawServer()
    async with broker_at(server) as broker:
        doubtful = in_doubt(await broker.prepare(intent_for("openalgo")))
        assert doubtful.signed_at is not None
        at = (doubtful.signed_at + timedelta(minutes=minutes)).astimezone(ZoneInfo("Asia/Kolkata"))
        server.fixed[f"{API}/orderbook"] = book(row("5", timestamp=at.strftime(form)))
        seen = await broker.look_up(doubtful, ())
    assert isinstance(seen, Found if is_its else Absent)
    assert is_its or not seen.conclusive


@pytest.mark.req("ORD-7")
async def test_an_order_that_carries_our_id_is_ours_whatever_else_is_there() -> None:
    intent = intent_for("openalgo")
    rows = [row("1"), row("2", tag=intent.client_order_id), row("3")]
    server = RawServer()
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent)
        server.fixed[f"{API}/orderbook"] = book(*rows)
        seen = await broker.look_up(in_doubt(prepared), ())
    assert isinstance(seen, Found)
    assert seen.report.broker_order_id == "2"


@pytest.mark.req("ORD-5")
@pytest.mark.parametrize(
    "reply",
    [HANG_UP, http_reply(200, b"{}"), http_reply(500, failure("x")), success(None), success(7)],
)
async def test_a_book_that_can_not_be_read_stops_a_send_and_answers_no_look_up(
    reply: bytes,
) -> None:
    server = RawServer()
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent_for("openalgo"))
        server.fixed[f"{API}/orderbook"] = reply
        assert isinstance(await broker.look_up(in_doubt(prepared), ()), NoAnswer)
        with pytest.raises(BrokerUnavailable):
            await broker.prepare(intent_for("openalgo"))
        with pytest.raises(BrokerUnavailable):
            await broker.open_orders()


@pytest.mark.req("ORD-7")
async def test_an_order_id_that_the_server_forgot_proves_nothing() -> None:
    server = RawServer(fixed={f"{API}/orderstatus": http_reply(404, failure("Order 9 not found"))})
    async with broker_at(server) as broker:
        intent = replace(intent_for("openalgo"), broker_order_id="9")
        seen = await broker.look_up(intent, ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive


GOLD = "GOLDM05JAN30FUT"


def symbol_of(lot_size: int | None) -> bytes:
    """What the server says of a contract; None: it does not know it."""
    if lot_size is None:
        return http_reply(404, failure("Symbol not found"))
    return success({"symbol": GOLD, "exchange": "MCX", "lotsize": lot_size})


def gold(units: int) -> OrderIntent:
    return intent_for("openalgo", symbol=GOLD, exchange="MCX", quantity=Decimal(units))


@pytest.mark.req("ORD-12")
@pytest.mark.parametrize(
    ("unit", "lot_size", "on_the_wire"),
    [
        (QuantityUnit.AUTO, 100, "200"),
        (QuantityUnit.AUTO, 1, "2"),
        (QuantityUnit.UNITS, 100, "200"),
        (QuantityUnit.CONTRACTS, 1, "2"),
        (QuantityUnit.UNITS, None, "200"),
        (QuantityUnit.CONTRACTS, None, "2"),
    ],
)
async def test_mcx_quantities_go_out_and_come_back_in_the_servers_unit(
    unit: QuantityUnit, lot_size: int | None, on_the_wire: str
) -> None:
    gold_mini = {"symbol": GOLD, "exchange": "MCX"}
    listed = {**gold_mini, "quantity": on_the_wire}
    server = RawServer(
        replies=[http_reply(200, {"status": "success", "orderid": "1"})],
        fixed={
            f"{API}/orderstatus": success(row("1", **listed)),
            f"{API}/tradebook": success([trade("1", on_the_wire, "78000", **gold_mini)]),
            f"{API}/positionbook": success([{**listed, "product": "NRML"}]),
            f"{API}/symbol": symbol_of(lot_size),
        },
    )
    account = {"mcx_quantity": unit, "units_per_contract": {"GOLDM": Decimal(100)}}
    async with broker_at(server, **account) as broker:
        prepared = await broker.prepare(gold(200))
        await broker.send(prepared)
        seen = await broker.look_up(replace(in_doubt(prepared), broker_order_id="1"), ())
        assert await broker.positions() == {GOLD: Decimal(200)}
    assert json.loads(server.posts_to(PLACE)[0])["quantity"] == on_the_wire
    assert isinstance(seen, Found)
    assert seen.report.filled_quantity == 200
    assert seen.report.filled_value == 200 * 78_000


@pytest.mark.req("ORD-12")
@pytest.mark.parametrize(
    ("unit", "lot_size", "why"),
    [
        (QuantityUnit.UNITS, 1, "counts .* in contracts, and units are configured"),
        (QuantityUnit.CONTRACTS, 100, "counts .* in units, and contracts are configured"),
        (QuantityUnit.AUTO, 10, "neither 1 nor ours"),
        (QuantityUnit.UNITS, 10, "neither 1 nor ours"),
        (QuantityUnit.AUTO, None, "does not tell the lot size"),
        (QuantityUnit.AUTO, 0, "does not tell the lot size"),
    ],
)
async def test_where_the_servers_unit_is_not_sure_nothing_is_ordered_and_no_book_is_read(
    unit: QuantityUnit, lot_size: int | None, why: str
) -> None:
    listed = {"symbol": GOLD, "exchange": "MCX", "quantity": "2"}
    fixed = {
        f"{API}/symbol": symbol_of(lot_size),
        f"{API}/positionbook": success([{**listed, "product": "NRML"}]),
        f"{API}/orderstatus": success(row("1", **listed)),
    }
    account = {"mcx_quantity": unit, "units_per_contract": {"GOLDM": Decimal(100)}}
    async with broker_at(RawServer(fixed=fixed), **account) as broker:
        with pytest.raises(BrokerUnavailable, match=why):
            await broker.prepare(gold(200))
        with pytest.raises(BrokerUnavailable, match=why):
            await broker.positions()
        order = replace(gold(200), broker_order_id="1")
        assert isinstance(await broker.look_up(order, ()), NoAnswer)
        cancel = issue_cancel(replace(order, state=IntentState.ACKED), 1)
        assert b"quantity" not in (await broker.prepare(cancel)).body


@pytest.mark.req("ORD-12")
async def test_a_server_whose_lot_size_changes_is_believed_within_minutes() -> None:
    server = RawServer(fixed={f"{API}/symbol": symbol_of(1)})
    account = {"units_per_contract": {"GOLDM": Decimal(100)}}
    async with broker_at(server, **account) as broker:
        before = json.loads((await broker.prepare(gold(200))).body)["quantity"]
        server.fixed[f"{API}/symbol"] = symbol_of(100)
        clock = broker._clock
        assert isinstance(clock, ManualClock)
        clock.advance(300_000)
        after = json.loads((await broker.prepare(gold(200))).body)["quantity"]
    assert (before, after) == ("2", "200")


@pytest.mark.req("ORD-12")
async def test_an_mcx_contract_of_unknown_size_is_not_guessed() -> None:
    server = RawServer(fixed={f"{API}/symbol": symbol_of(1)})
    async with broker_at(server, mcx_quantity=QuantityUnit.CONTRACTS) as broker:
        with pytest.raises(ConfigurationError):
            await broker.prepare(gold(200))


@pytest.mark.req("ORD-9", "ORD-12")
async def test_what_others_hold_on_mcx_is_read_as_it_is_written() -> None:
    crude = {"symbol": "CRUDEOIL19JAN30FUT", "exchange": "MCX", "quantity": "-3"}
    server = RawServer(fixed={f"{API}/positionbook": success([crude])})
    async with broker_at(server, units_per_contract={"GOLDM": Decimal(100)}) as broker:
        assert await broker.positions() == {crude["symbol"]: Decimal(-3)}


async def test_secrets_are_in_no_repr_and_no_outcome() -> None:
    server = RawServer(replies=[http_reply(400, b"the-key is wrong")])
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent_for("openalgo"))
        outcome = await broker.send(prepared)
        seen = f"{broker._login!r} {prepared!r} {outcome!r}"
    assert "the-key" not in seen


class Wire:
    """One broker and one server for many answers."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.server = RawServer()
        self.context = broker_at(self.server)
        self.broker = self.runner.run(self.context.__aenter__())

    def close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    async def send(self, reply: bytes) -> Outcome:
        self.server.replies[:] = [reply]
        return await self.broker.send(await self.broker.prepare(intent_for("openalgo")))

    async def look(self, rows: bytes) -> object:
        self.server.fixed[f"{API}/orderbook"] = book()
        prepared = await self.broker.prepare(intent_for("openalgo"))
        self.server.fixed[f"{API}/orderbook"] = rows
        return await self.broker.look_up(in_doubt(prepared), ())


@pytest.fixture(scope="module")
def wire() -> Any:
    wire = Wire()
    yield wire
    wire.close()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
bodies = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda message: json.dumps(failure(message)).encode(), values),
    st.dictionaries(st.sampled_from(["status", "message", "data"]), values).map(
        lambda value: json.dumps(value).encode()
    ),
)


@pytest.mark.req("ORD-5")
@settings(max_examples=200, deadline=None)
@given(status=st.integers(200, 599), body=bodies)
def test_any_answer_is_unknown_unless_it_is_listed(wire: Wire, status: int, body: bytes) -> None:
    outcome = wire.runner.run(wire.send(http_reply(status, body)))
    if isinstance(outcome, NotPlaced):
        assert status == 429
    else:
        assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-7")
@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from([*row(), "tag", "filled_quantity"]), values | st.just(OPTION)
        )
        | values,
        max_size=4,
    )
)
def test_any_order_book_is_survived_and_proves_no_absence(wire: Wire, rows: list[Any]) -> None:
    seen = wire.runner.run(wire.look(success({"orders": rows})))
    assert not (isinstance(seen, Absent) and seen.conclusive)
    assert isinstance(seen, Absent | NoAnswer)
