"""The paper venue as outsiders see it: a process that speaks HTTP."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from integration.venue_process import VenueProcess
from support import until

Start = Callable[..., Awaitable[VenueProcess]]
ORDER_FIELDS = {
    *("client_order_id", "broker_order_id", "dialect", "account", "symbol", "side", "quantity"),
    *("filled_quantity", "average_price", "status", "received_at", "executed_at"),
}
EXECUTION_FIELDS = {
    *("execution_id", "broker_order_id", "client_order_id", "symbol", "side", "quantity"),
    *("price", "at"),
}


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts venues with options; stops them in the end."""
    venues: list[VenueProcess] = []

    async def start_one(*options: str) -> VenueProcess:
        venue = VenueProcess(tmp_path / "venue", *options)
        await venue.start()
        venues.append(venue)
        return venue

    yield start_one
    for venue in venues:
        await venue.stop()


def code_of(answer: httpx.Response) -> int:
    code: int = answer.json()["code"]
    return code


# The contract for harnesses


@pytest.mark.req("IF-13", "ORD-13")
async def test_the_judge_sees_every_execution_with_the_fields_of_the_contract(
    start: Start,
) -> None:
    venue = await start()
    health = await venue.get("/healthz")
    assert (health["status"], health["class"], health["lag_ms"]) == ("ok", "B", 300)
    await venue.buy("first", quantity=2)
    await venue.buy("resting", type="LIMIT", price="50", timeInForce="GTC")
    ledger = await venue.get("/ledger")
    (order,) = ledger["orders"]
    (execution,) = ledger["executions"]
    assert set(order) == ORDER_FIELDS
    assert set(execution) == EXECUTION_FIELDS
    assert (order["client_order_id"], order["account"]) == ("first", "paper")
    assert (order["quantity"], order["filled_quantity"]) == ("2", "2")
    assert (order["average_price"], order["status"]) == ("100", "FILLED")
    await venue.buy("second", side="SELL", quantity=5)
    later = await venue.get("/ledger", since=execution["execution_id"])
    assert [row["client_order_id"] for row in later["orders"]] == ["second"]
    assert [row["client_order_id"] for row in later["executions"]] == ["second"]
    everything = await venue.get("/ledger", all=1)
    assert len(everything["orders"]) == 3
    positions = (await venue.get("/positions"))["positions"]
    assert positions == [{"account": "paper", "symbol": "SIM001", "quantity": "-3"}]


@pytest.mark.req("IF-13")
async def test_price_and_clock_can_be_set_and_nonsense_is_refused(start: Start) -> None:
    venue = await start()
    await venue.control("/price", {"symbol": "SIM001", "price": "101.25"})
    assert (await venue.buy("a")).json()["avgPrice"] == "101.25"
    before = await venue.now_ms()
    await venue.control("/clock", {"offset_ms": 3_600_000})
    assert await venue.now_ms() >= before + 3_600_000
    await venue.control("/clock", {"at_ms": 1_704_081_600_000})
    assert 0 <= await venue.now_ms() - 1_704_081_600_000 < 60_000
    for path, body in (
        ("/price", {"symbol": "ACME", "price": 1}),
        ("/price", {"symbol": "SIM001", "price": 0}),
        ("/clock", {"offset_ms": "soon"}),
        ("/faults", {"kind": "explode"}),
        ("/settings", {"colour": "red"}),
    ):
        assert (await venue.http.post(path, json=body)).status_code == 400
    assert (await venue.http.get("/nowhere")).status_code == 404


@pytest.mark.req("ORD-13")
async def test_a_killed_venue_comes_back_with_all_that_it_answered(start: Start) -> None:
    venue = await start("--class", "A")
    answers = await asyncio.gather(*(venue.buy(f"id{n}", quantity=n) for n in range(1, 41)))
    assert {answer.status_code for answer in answers} == {200}
    await venue.buy("rests", type="LIMIT", price="90", timeInForce="GTC")
    await venue.leg("leg")
    before = [await venue.get(path) for path in ("/ledger?all=1", "/positions")]
    await venue.restart()
    after = [await venue.get(path) for path in ("/ledger?all=1", "/positions")]
    assert after == before
    assert code_of(await venue.buy("id7")) == -4116
    assert (await venue.buy("new")).json()["orderId"] == 1_000_000_043
    await venue.control("/price", {"symbol": "SIM001", "price": "89"})
    await venue.has_executed(43)


@pytest.mark.req("ORD-13")
async def test_no_answered_order_is_lost_when_it_is_killed_in_the_middle(start: Start) -> None:
    venue = await start()
    answered: list[str] = []

    async def customer(number: int) -> None:
        for n in range(1_000):
            name = f"c{number}-{n}"
            if (await venue.buy(name)).status_code == 200:
                answered.append(name)

    customers = [asyncio.create_task(customer(number)) for number in range(8)]

    async def under_way() -> bool:
        return len(await venue.executed()) >= 100

    await until(under_way)
    old = venue.http
    venue.http = httpx.AsyncClient()
    await venue.stop(signal.SIGKILL)
    await asyncio.gather(*customers, return_exceptions=True)
    await old.aclose()
    await venue.start()
    executed = await venue.executed()
    assert set(answered) <= set(executed)
    assert len(executed) == len(set(executed))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_wish_to_stop_is_not_a_failure(start: Start, how: signal.Signals) -> None:
    venue = await start()
    await venue.buy("a")
    assert await venue.stop(how) == 0
    await venue.start()
    assert await venue.executed() == ["a"]


# The classes


@pytest.mark.req("ORD-6", "ORD-13")
async def test_class_a_refuses_an_id_for_ever(start: Start) -> None:
    venue = await start("--class", "A")
    assert (await venue.buy("one", age_ms=60_000)).status_code == 200
    assert code_of(await venue.buy("one")) == -4116
    assert (await venue.look_up("one")).json()["status"] == "FILLED"
    assert await venue.executed() == ["one"]


@pytest.mark.req("ORD-6", "ORD-13")
async def test_class_b_repeats_a_filled_id_and_expires_requests(start: Start) -> None:
    venue = await start("--class", "B")
    await venue.buy("one")
    await venue.buy("one")
    assert await venue.executed() == ["one", "one"]
    rests = {"type": "LIMIT", "price": "50", "timeInForce": "GTC"}
    await venue.buy("two", **rests)
    assert code_of(await venue.buy("two", **rests)) == -4116
    assert code_of(await venue.buy("old", age_ms=5_500)) == -1021
    assert (await venue.buy("patient", age_ms=5_500, recvWindow=60_000)).status_code == 200
    assert code_of(await venue.buy("ahead", age_ms=-60_000)) == -1021
    await venue.fault("latency", ms=300)
    assert code_of(await venue.buy("slow", recvWindow=200)) == -1021
    assert code_of(await venue.look_up("slow")) == -2013


@pytest.mark.req("ORD-6", "ORD-13")
async def test_class_c_neither_finds_nor_shows_client_ids(start: Start) -> None:
    venue = await start("--class", "C")
    rests = {"type": "LIMIT", "price": "50", "timeInForce": "GTC"}
    await venue.buy("one", age_ms=90_000, **rests)
    await venue.buy("one", **rests)
    assert code_of(await venue.look_up("one")) == -2013
    rows = (await venue.binance("GET", "v1/openOrders", symbol="SIM001")).json()
    assert len(rows) == 2
    assert all(row["clientOrderId"] != "one" for row in rows)
    found = await venue.binance("GET", "v1/order", symbol="SIM001", orderId=rows[0]["orderId"])
    assert found.json()["status"] == "NEW"


# The Binance dialect


@pytest.mark.req("ORD-12", "ORD-13")
async def test_binance_orders_can_be_placed_asked_for_modified_and_cancelled(
    start: Start,
) -> None:
    venue = await start()
    rests = {"type": "LIMIT", "price": "99.50", "timeInForce": "GTC", "quantity": 5}
    placed = (await venue.buy("one", in_body=True, **rests)).json()
    assert (placed["status"], placed["executedQty"], placed["type"]) == ("NEW", "0", "LIMIT")
    wish = {"symbol": "SIM001", "origClientOrderId": "one", "side": "BUY"}
    changed = await venue.binance("PUT", "v1/order", quantity=6, price="99.40", **wish)
    assert (changed.json()["origQty"], changed.json()["price"]) == ("6", "99.4")
    unchanged = await venue.binance("PUT", "v1/order", quantity=6, price="99.40", **wish)
    assert code_of(unchanged) == -5027
    await venue.control("/price", {"symbol": "SIM001", "price": "99.30"})
    filled = (await venue.look_up("one")).json()
    assert (filled["status"], filled["avgPrice"], filled["cumQuote"]) == ("FILLED", "99.3", "595.8")
    assert code_of(await venue.binance("DELETE", "v1/order", **wish)) == -2011
    await venue.buy("two", type="LIMIT", price="80", timeInForce="GTC")
    wish["origClientOrderId"] = "two"
    cancelled = await venue.binance("DELETE", "v1/order", **wish)
    assert cancelled.json()["status"] == "CANCELED"
    orders = (await venue.binance("GET", "v1/allOrders", symbol="SIM001")).json()
    assert [row["clientOrderId"] for row in orders] == ["one", "two"]
    (trade,) = (await venue.binance("GET", "v1/userTrades", symbol="SIM001")).json()
    assert (trade["qty"], trade["price"], trade["orderId"]) == ("6", "99.3", orders[0]["orderId"])


@pytest.mark.req("ORD-12", "ORD-13")
async def test_binance_shows_positions_funds_and_prices(start: Start) -> None:
    venue = await start()
    await venue.buy("one", quantity=4)
    await venue.control("/price", {"symbol": "SIM001", "price": "102"})
    (risk,) = (await venue.binance("GET", "v3/positionRisk")).json()
    assert (risk["positionAmt"], risk["entryPrice"]) == ("4", "100")
    assert risk["unRealizedProfit"] == "8"
    assert len((await venue.binance("GET", "v2/positionRisk")).json()) == 102
    (balance,) = (await venue.binance("GET", "v2/balance")).json()
    assert Decimal(balance["balance"]) == 1_000_000_000
    bound = Decimal(4 * 102) / 20
    assert Decimal(balance["availableBalance"]) == 1_000_000_000 + 8 - bound
    account = (await venue.binance("GET", "v3/account")).json()
    assert account["totalUnrealizedProfit"] == "8"
    information = await venue.get("/fapi/v1/exchangeInfo")
    symbols = {row["symbol"]: row for row in information["symbols"]}
    assert len(symbols) == 102
    filters = {row["filterType"]: row for row in symbols["SIM001"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01"
    assert filters["LOT_SIZE"]["stepSize"] == "1"
    assert {"MARKET_LOT_SIZE", "MIN_NOTIONAL"} < set(filters)
    assert (await venue.get("/fapi/v1/ticker/price", symbol="SIM001"))["price"] == "102"
    assert (await venue.get("/fapi/v1/premiumIndex", symbol="SIM001"))["markPrice"] == "102"
    assert await venue.get("/fapi/v1/ping") == {}


@pytest.mark.req("ORD-5", "ORD-12")
@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "ACME"}, -1121),
        ({"symbol": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"timestamp": ""}, -1102),
        ({"type": "LIMIT", "price": "99"}, -1102),
        ({"quantity": "0"}, -4003),
        ({"quantity": "1.5"}, -1111),
        ({"side": "HOLD"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"type": "STOP_MARKET", "stopPrice": "90"}, -4120),
        ({"type": "LIMIT", "price": "99.005", "timeInForce": "GTC"}, -4014),
        ({"newClientOrderId": "not legal!"}, -4015),
        ({"positionSide": "LONG"}, -4061),
        ({"reduceOnly": "true"}, -2022),
        ({"symbol": "BTCUSDT", "quantity": "0.0005"}, -1111),
        ({"symbol": "ETHUSDT", "quantity": "0.001"}, -4164),
    ],
)
async def test_binance_refuses_what_is_wrong_with_its_own_code(
    start: Start, params: dict[str, str], code: int
) -> None:
    venue = await start()
    answer = await venue.buy("one", **params)
    assert (answer.status_code, code_of(answer)) == (400, code)
    assert await venue.executed() == []


async def test_binance_knows_its_customers_by_their_signature(start: Start) -> None:
    venue = await start()
    stamped = f"timestamp={await venue.now_ms()}"
    forged = await venue.http.get(f"/fapi/v3/positionRisk?{stamped}&signature={'0' * 64}")
    assert code_of(forged) == -1022
    assert code_of(await venue.http.get(f"/fapi/v3/positionRisk?{stamped}")) == -1102
    await venue.buy("one", key="other")
    assert code_of(await venue.look_up("one")) == -2013
    assert (await venue.look_up("one", key="other")).status_code == 200
    (position,) = (await venue.get("/positions"))["positions"]
    assert position["account"] == "other"


# The OpenAlgo dialect


@pytest.mark.req("ORD-12", "ORD-13", "PF-20")
async def test_a_synthetic_future_costs_the_underlying(start: Start) -> None:
    venue = await start()
    await venue.control("/price", {"symbol": "BANKNIFTY", "price": "60123.45"})
    await venue.leg("call")
    await venue.leg("put", symbol="BANKNIFTY29DEC2660000PE", action="SELL")
    call, put = (Decimal(row["price"]) for row in (await venue.get("/ledger"))["executions"])
    assert Decimal(60_000) + call - put == Decimal("60123.45")


@pytest.mark.req("ORD-12", "ORD-13")
async def test_openalgo_shows_orders_trades_and_positions_without_our_id(start: Start) -> None:
    venue = await start()
    placed = (
        await venue.leg("ofours", exchange="MCX", symbol="GOLDM05JAN26FUT", quantity=100)
    ).json()
    assert placed["status"] == "success"
    book = (await venue.openalgo("orderbook")).json()["data"]
    (order,) = book["orders"]
    assert book["statistics"]["total_completed_orders"] == 1
    assert (order["orderid"], order["order_status"]) == (placed["orderid"], "complete")
    assert (order["quantity"], order["filled_quantity"], order["average_price"]) == (
        100,
        100,
        78_000,
    )
    (trade,) = (await venue.openalgo("tradebook")).json()["data"]
    assert (trade["orderid"], trade["average_price"]) == (placed["orderid"], 78_000)
    status = await venue.openalgo("orderstatus", orderid=placed["orderid"], strategy="x")
    assert status.json()["data"]["order_status"] == "complete"
    (position,) = (await venue.openalgo("positionbook")).json()["data"]
    assert (position["symbol"], position["quantity"]) == ("GOLDM05JAN26FUT", 100)
    quotes = await venue.openalgo("quotes", symbol="BANKNIFTY", exchange="NSE_INDEX")
    assert quotes.json()["data"]["ltp"] == 60_000
    funds = (await venue.openalgo("funds")).json()["data"]
    assert Decimal(funds["availablecash"]) == 1_000_000_000
    assert (await venue.openalgo("ping")).json()["data"]["message"] == "pong"
    for service in ("orderbook", "tradebook", "positionbook"):
        assert "ofours" not in (await venue.openalgo(service)).text
    assert await venue.executed() == ["ofours"]


@pytest.mark.req("ORD-13", "PF-11")
async def test_openalgo_stops_wait_can_be_moved_and_become_market_orders(start: Start) -> None:
    venue = await start()
    stop = {
        "exchange": "MCX",
        "symbol": "GOLDM05JAN26FUT",
        "action": "SELL",
        "pricetype": "SL-M",
        "quantity": 100,
    }
    numbers = [
        (await venue.leg("s", trigger_price=price, **stop)).json()["orderid"]
        for price in (77_000, 76_000, 75_000)
    ]

    async def words() -> list[str]:
        rows = (await venue.openalgo("orderbook")).json()["data"]["orders"]
        return [row["order_status"] for row in rows]

    assert await words() == ["trigger pending"] * 3
    await venue.control("/price", {"symbol": "GOLDM", "price": 76_900})
    assert await words() == ["complete", "trigger pending", "trigger pending"]
    moved = await venue.openalgo(
        "modifyorder", orderid=numbers[1], **{**stop, "pricetype": "MARKET"}
    )
    assert moved.json()["status"] == "success"
    cancelled = await venue.openalgo("cancelorder", orderid=numbers[2], strategy="s")
    assert cancelled.json() == {"status": "success", "orderid": numbers[2]}
    assert await words() == ["complete", "complete", "cancelled"]
    again = await venue.openalgo("cancelorder", orderid=numbers[2], strategy="s")
    assert (again.status_code, again.json()["status"]) == (400, "error")


async def test_openalgo_can_be_lean(start: Start) -> None:
    venue = await start("--lean")
    await venue.leg("one")
    (order,) = (await venue.openalgo("orderbook")).json()["data"]["orders"]
    assert not {"filled_quantity", "average_price"} & set(order)
    await venue.control("/settings", {"lean": False})
    (order,) = (await venue.openalgo("orderbook")).json()["data"]["orders"]
    assert order["filled_quantity"] == 30


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"apikey": ""}, 403),
        ({"symbol": "ACME"}, 400),
        ({"exchange": "MCX"}, 400),
        ({"quantity": 29}, 400),
        ({"quantity": "many"}, 400),
        ({"action": "HOLD"}, 400),
        ({"strategy": ""}, 400),
        ({"pricetype": "LIMIT", "price": "100.03"}, 400),
        ({"symbol": "BANKNIFTY", "exchange": "NSE_INDEX"}, 400),
    ],
)
async def test_openalgo_refuses_what_is_wrong(
    start: Start, body: dict[str, object], status: int
) -> None:
    venue = await start()
    answer = await venue.leg("one", **body)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert await venue.executed() == []


# Faults


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize("dialect", ["binance", "openalgo"])
async def test_a_dropped_reply_leaves_an_executed_order(start: Start, dialect: str) -> None:
    venue = await start()
    await venue.fault("drop_reply", match={"dialect": dialect})
    with pytest.raises(httpx.TransportError):
        await (venue.buy("one") if dialect == "binance" else venue.leg("one"))
    assert await venue.executed() == ["one"]
    assert (await venue.buy("two")).status_code == 200


@pytest.mark.req("ORD-5", "ORD-13")
@pytest.mark.parametrize(
    ("kind", "answered", "words", "executes"),
    [
        ("reject", (400, -2019), "Margin is insufficient.", False),
        ("error_before", (503, -1001), "Service Unavailable.", False),
        ("error_after", (503, -1000), "Unknown error, please check", True),
        ("lying_400", (400, -1000), "unknown error", True),
        ("late", (408, -1007), "execution status unknown", True),
    ],
)
async def test_binance_fails_in_its_own_words(
    start: Start, kind: str, answered: tuple[int, int], words: str, executes: bool
) -> None:
    venue = await start()
    await venue.fault(kind, ms=1)
    answer = await venue.buy("one")
    assert (answer.status_code, code_of(answer)) == answered
    assert words in answer.json()["msg"]
    await venue.has_executed(int(executes))
    assert await venue.executed() == ["one"] * executes


@pytest.mark.req("ORD-5", "ORD-13")
@pytest.mark.parametrize(
    ("kind", "status", "words", "executes"),
    [
        ("reject", 400, "Insufficient funds", False),
        ("error_before", 503, "Service Unavailable.", False),
        ("error_after", 503, "unexpected error", True),
        ("lying_400", 400, "Order request timed out. Please check the order book", True),
        ("late", 400, "Order request timed out. Please check the order book", True),
    ],
)
async def test_openalgo_fails_in_its_own_words(
    start: Start, kind: str, status: int, words: str, executes: bool
) -> None:
    venue = await start()
    await venue.fault(kind, ms=1)
    answer = await venue.leg("one")
    assert answer.status_code == status
    assert words in answer.json()["message"]
    await venue.has_executed(int(executes))
    assert await venue.executed() == ["one"] * executes


@pytest.mark.req("ORD-7", "ORD-13")
async def test_a_late_order_is_not_there_and_then_is(start: Start) -> None:
    venue = await start()
    await venue.fault("late", ms=5_000)
    await venue.buy("one")
    assert code_of(await venue.look_up("one")) == -2013
    assert (await venue.get("/positions"))["positions"] == []
    await venue.has_executed(1)
    assert (await venue.look_up("one")).json()["status"] == "FILLED"


@pytest.mark.req("ORD-13")
async def test_a_late_fill_is_accepted_first(start: Start) -> None:
    venue = await start()
    await venue.fault("late_fill", ms=5_000)
    assert (await venue.buy("one")).json()["status"] == "NEW"
    assert await venue.executed() == []
    await venue.has_executed(1)
    assert (await venue.look_up("one")).json()["status"] == "FILLED"


@pytest.mark.req("ORD-10", "ORD-13")
async def test_a_duplicate_fill_is_shown_twice_and_happened_once(start: Start) -> None:
    venue = await start()
    await venue.fault("duplicate_fill")
    await venue.buy("one")
    trades = (await venue.binance("GET", "v1/userTrades", symbol="SIM001")).json()
    assert len(trades) == 2
    assert trades[0]["id"] == trades[1]["id"]
    assert await venue.executed() == ["one"]
    (position,) = (await venue.get("/positions"))["positions"]
    assert position["quantity"] == "1"


@pytest.mark.req("ORD-13")
async def test_a_partial_fill_goes_on_with_the_price(start: Start) -> None:
    venue = await start()
    await venue.fault("partial_fill", quantity=2)
    placed = (await venue.buy("one", quantity=3)).json()
    assert (placed["status"], placed["executedQty"]) == ("PARTIALLY_FILLED", "2")
    await venue.control("/price", {"symbol": "SIM001", "price": "101"})
    assert (await venue.look_up("one")).json()["status"] == "FILLED"
    (row,) = (await venue.get("/ledger"))["orders"]
    assert row["average_price"] == "100.33333333"


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize(("kind", "is_done_meanwhile"), [("stall", True), ("latency", False)])
async def test_stall_acts_and_keeps_silent_where_latency_does_not_even_look(
    start: Start, kind: str, is_done_meanwhile: bool
) -> None:
    venue = await start()
    await venue.fault(kind, ms=5_000)
    waiting = asyncio.create_task(venue.buy("one", recvWindow=60_000))

    async def has_struck() -> bool:
        return (await venue.get("/healthz"))["faults"] == 0

    await until(has_struck)
    assert await venue.executed() == ["one"] * is_done_meanwhile
    assert not waiting.done()
    assert (await waiting).status_code == 200
    assert await venue.executed() == ["one"]


@pytest.mark.req("ORD-13")
async def test_faults_match_fields_and_kinds_and_can_be_cleared(start: Start) -> None:
    venue = await start()
    await venue.fault("reject", match={"symbol": "SIM002"}, probability=1)
    assert (await venue.buy("one")).status_code == 200
    assert code_of(await venue.buy("two", symbol="SIM002")) == -2019
    await venue.http.request("DELETE", "/faults")
    assert (await venue.buy("three", symbol="SIM002")).status_code == 200
    await venue.fault("error_before", match={"kind": "query"})
    assert (await venue.buy("four")).status_code == 200
    assert (await venue.look_up("four")).status_code == 503
    assert (await venue.look_up("four")).status_code == 200


# The feed


@pytest.mark.req("ORD-13")
async def test_a_seeded_walk_moves_the_prices(start: Start) -> None:
    venue = await start("--seed", "7", "--bar-ms", "10")

    async def has_moved() -> bool:
        quote = await venue.get("/fapi/v1/ticker/price", symbol="SIM001")
        return bool(quote["price"] != "100")

    await until(has_moved)


async def test_a_second_venue_on_the_same_data_is_refused_with_the_reason(
    start: Start, tmp_path: Path
) -> None:
    await start()
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onefill.venue", "--port", "0", "--data", str(tmp_path / "venue")),
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PATH": "/usr/bin"},
    )
    _, words = await second.communicate()
    assert second.returncode == 1
    assert b"another venue uses this data directory" in words
