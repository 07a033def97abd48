"""Binance's answers, each as recorded: what it proves, and what it does not."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_support import (
    HANG_UP,
    ManualClock,
    RawServer,
    http_reply,
    in_doubt,
    intent_for,
)
from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import BinanceBroker
from onefill.brokers.http import HttpLimits
from onefill.core.errors import BrokerUnavailable, ConfigurationError
from onefill.core.intent import Denial, OrderIntent, OrderType
from onefill.core.orders.report import (
    Absent,
    Found,
    NoAnswer,
    NotPlaced,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)

DENIALS = {-2021: Denial.WOULD_TRIGGER, -2022: Denial.NOTHING_TO_REDUCE, -4130: Denial.STOP_EXISTS}
ORDER = "/fapi/v1/order"
TIME_MS = 1_767_600_000_000


def error(code: int, message: str = "Something.") -> dict[str, Any]:
    return {"code": code, "msg": message}


def row_of(intent: OrderIntent, **fields: Any) -> dict[str, Any]:
    """An order as Binance shows it after placing with newOrderRespType=RESULT."""
    return {
        "orderId": 325078477,
        "symbol": intent.order.symbol,
        "status": "FILLED",
        "clientOrderId": intent.client_order_id,
        "price": "0.00",
        "avgPrice": "100.50000",
        "origQty": "2",
        "executedQty": "2",
        "cumQty": "2",
        "cumQuote": "201.00",
        "timeInForce": "GTC",
        "type": "MARKET",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "updateTime": 1_767_600_000_123,
    } | fields


@contextlib.asynccontextmanager
async def broker_at(
    server: RawServer, broker_class: str = "B", reply_within_ms: int = 5_000, **account: Any
) -> AsyncIterator[BinanceBroker]:
    server.fixed["/healthz"] = http_reply(200, {"class": broker_class, "lag_ms": 300})
    server.fixed["/fapi/v1/allOrders"] = http_reply(200, [])
    server.fixed.setdefault("/fapi/v1/exchangeInfo", http_reply(200, {"symbols": []}))
    one_way = http_reply(200, {"dualSidePosition": False})
    server.fixed.setdefault("/fapi/v1/positionSide/dual", one_way)
    server.fixed.setdefault("/fapi/v1/time", http_reply(200, {"serverTime": TIME_MS}))
    async with server.running():
        login = BinanceAccount(
            base_url=server.url,
            api_key="the-key",
            api_secret="the-secret",
            http=HttpLimits(reply_within_ms=reply_within_ms),
            **account,
        )
        broker = BinanceBroker(login, ManualClock())
        try:
            await broker.start()
            yield broker
        finally:
            await broker.close()


async def answered(
    intent: OrderIntent, *replies: bytes, broker_class: str = "B"
) -> tuple[Outcome, RawServer]:
    server = RawServer(replies=list(replies))
    async with broker_at(server, broker_class) as broker:
        return await broker.send(await broker.prepare(intent)), server


DEFINITE = [
    (400, -1102, False),
    (400, -1111, False),
    (400, -1121, False),
    (400, -1022, False),
    (401, -2015, False),
    (400, -2019, False),
    (400, -2021, False),
    (400, -2022, False),
    (400, -4003, False),
    (400, -4015, False),
    (400, -4061, True),
    (400, -4120, False),
    (400, -4130, False),
    (400, -4164, False),
    (400, -1021, True),
    (400, -5028, True),
    (429, -1003, True),
    (418, -1003, True),
    (429, -1015, True),
]


@pytest.mark.req("ORD-5", "ORD-6", "ORD-12")
@pytest.mark.parametrize(("status", "code", "retry"), DEFINITE)
async def test_a_listed_refusal_proves_that_nothing_was_placed(
    status: int, code: int, retry: bool
) -> None:
    outcome, server = await answered(intent_for("binance"), http_reply(status, error(code)))
    denial = DENIALS.get(code)
    no = NotPlaced(code=str(code), message="Something.", retry=retry, denial=denial)
    assert outcome == no
    assert len(server.posts_to(ORDER)) == 1


UNKNOWN = [
    (400, error(-1000, "An unknown error occurred while processing the request.")),
    (400, error(-1006, "An unexpected response was received from the message bus.")),
    (408, error(-1007, "Timeout waiting for response from backend server.")),
    (503, error(-1000, "Unknown error, please check your request or try again later.")),
    (503, error(-1001, "Something else.")),
    (503, b"<html>Service Unavailable.</html>"),
    (502, b"Bad Gateway"),
    (500, error(-2019)),
    (503, error(-1121)),
    (400, error(-2011)),
    (400, error(-2013)),
    (400, error(-9999)),
    (400, b""),
    (400, {"code": "-2019", "msg": "a code in the wrong form"}),
    (400, {"code": -2019, "msg": None}),
    (403, b"<html>Forbidden by the firewall</html>"),
    (200, b""),
    (200, {}),
    (200, error(-2019)),
    (201, b"{}"),
]


@pytest.mark.req("ORD-5", "ORD-12")
@pytest.mark.parametrize(("status", "body"), UNKNOWN)
async def test_an_answer_that_is_not_listed_proves_nothing(status: int, body: Any) -> None:
    outcome, server = await answered(intent_for("binance"), http_reply(status, body))
    assert isinstance(outcome, Unknown)
    assert f"HTTP {status}" in outcome.detail
    assert len(server.posts_to(ORDER)) == 1


@pytest.mark.req("ORD-5")
@pytest.mark.parametrize(
    "wrong",
    [
        {"clientOrderId": "another"},
        {"symbol": "SIM002"},
        {"side": "SELL"},
        {"origQty": "3"},
        {"status": "SOMETHING_NEW"},
        {"executedQty": "NaN"},
        {"executedQty": "-1"},
        {"executedQty": "3"},
        {"executedQty": "0"},
        {"orderId": 0},
        {"cumQuote": "Infinity"},
    ],
)
async def test_an_order_that_does_not_fit_is_not_taken_for_ours(wrong: dict[str, Any]) -> None:
    intent = intent_for("binance")
    outcome, _ = await answered(intent, http_reply(200, row_of(intent, **wrong)))
    assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-10", "ORD-12")
@pytest.mark.parametrize(
    ("fields", "status", "filled", "value"),
    [
        ({}, OrderStatus.FILLED, "2", "201.00"),
        ({"status": "NEW", "executedQty": "0", "cumQuote": "0"}, OrderStatus.OPEN, "0", "0"),
        (
            {"status": "PARTIALLY_FILLED", "executedQty": "1", "cumQuote": "100.5"},
            OrderStatus.PARTIALLY_FILLED,
            "1",
            "100.5",
        ),
        (
            {"status": "CANCELED", "executedQty": "1", "cumQuote": "100.5"},
            OrderStatus.CANCELLED,
            "1",
            "100.5",
        ),
        ({"status": "EXPIRED", "executedQty": "0"}, OrderStatus.CANCELLED, "0", "0"),
        ({"status": "EXPIRED_IN_MATCH", "executedQty": "0"}, OrderStatus.CANCELLED, "0", "0"),
        ({"status": "REJECTED", "executedQty": "0"}, OrderStatus.REJECTED, "0", "0"),
        ({"cumQuote": None}, OrderStatus.FILLED, "2", "201.0"),
        ({"cumQuote": "0", "avgPrice": "0"}, OrderStatus.OPEN, "0", "0"),
    ],
)
async def test_an_accepted_order_is_reported_with_its_exact_value(
    fields: dict[str, Any], status: OrderStatus, filled: str, value: str
) -> None:
    intent = intent_for("binance")
    outcome, _ = await answered(intent, http_reply(200, row_of(intent, **fields)))
    assert isinstance(outcome, Placed)
    report = outcome.report
    assert (report.broker_order_id, report.status) == ("325078477", status)
    assert (report.filled_quantity, report.filled_value) == (Decimal(filled), Decimal(value))


BEFORE_EXECUTING = [
    error(-1, "Service Unavailable."),
    error(-1001, "Internal error; unable to process your request. Please try again."),
    error(-1008, "Request throttled by system-level protection."),
]


@pytest.mark.req("ORD-5", "ORD-12")
@pytest.mark.parametrize("body", BEFORE_EXECUTING)
async def test_a_failure_before_executing_is_believed_only_after_a_look_up(body: Any) -> None:
    intent, failure = intent_for("binance"), http_reply(503, body)
    absent = http_reply(400, error(-2013, "Order does not exist."))
    outcome, _ = await answered(intent, failure, absent)
    assert isinstance(outcome, NotPlaced)
    assert outcome.retry
    outcome, _ = await answered(intent, failure, http_reply(200, row_of(intent)))
    assert isinstance(outcome, Placed)
    outcome, _ = await answered(intent, failure, HANG_UP, HANG_UP)
    assert isinstance(outcome, Unknown)
    outcome, _ = await answered(intent, failure, broker_class="C")
    assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-7", "ORD-12")
@pytest.mark.parametrize("broker_class", ["A", "B"])
async def test_an_id_that_exists_is_looked_up_and_adopted(broker_class: str) -> None:
    intent = intent_for("binance")
    exists = http_reply(400, error(-4116, "ClientOrderId is duplicated."))
    found = http_reply(200, row_of(intent))
    outcome, _ = await answered(intent, exists, found, broker_class=broker_class)
    assert isinstance(outcome, Placed)
    absent = http_reply(400, error(-2013))
    outcome, _ = await answered(intent, exists, absent, broker_class=broker_class)
    assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-3")
async def test_the_request_is_built_once_signed_on_venue_time_and_hashed() -> None:
    intent = intent_for(
        "binance", order_type=OrderType.LIMIT, price=Decimal("100.10"), reduce_only=True
    )
    server = RawServer(replies=[http_reply(200, row_of(intent))])
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent)
        await broker.send(prepared)
    (body,) = server.posts_to(ORDER)
    assert body == prepared.body
    unsigned, _, signature = body.partition(b"&signature=")
    assert signature.decode() == hmac.new(b"the-secret", unsigned, hashlib.sha256).hexdigest()
    sent = dict(parse_qsl(unsigned.decode()))
    assert int(sent.pop("timestamp")) == prepared.signed_at.timestamp() * 1_000 == TIME_MS
    assert sent == {
        "symbol": "SIM001",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "2",
        "price": "100.1",
        "reduceOnly": "true",
        "newClientOrderId": intent.client_order_id,
        "newOrderRespType": "RESULT",
        "recvWindow": "5000",
    }
    assert prepared.expires_at is not None
    assert (prepared.expires_at - prepared.signed_at).total_seconds() == 5
    text = b"POST " + prepared.url.encode() + b"\n" + body
    assert prepared.request_hash == hashlib.sha256(text).digest()


async def test_a_symbol_can_not_smuggle_in_parameters() -> None:
    async with broker_at(RawServer()) as broker:
        prepared = await broker.prepare(intent_for("binance", symbol="SIM001&quantity=9"))
    assert dict(parse_qsl(prepared.body.decode()))["symbol"] == "SIM001&quantity=9"


@pytest.mark.req("ORD-7")
async def test_absence_is_judged_by_the_venues_own_clock_at_the_time_of_asking() -> None:
    server = RawServer(replies=[http_reply(400, error(-2013))] * 3)
    async with broker_at(server) as broker:
        doubtful = in_doubt(await broker.prepare(intent_for("binance")))
        clock = broker._clock
        assert isinstance(clock, ManualClock)
        assert await broker.look_up(doubtful, ()) == Absent(
            conclusive=False, detail="not there yet"
        )
        clock.advance(5_301)  # by our reckoning it is past; the venue says that it is not
        assert await broker.look_up(doubtful, ()) == Absent(
            conclusive=False, detail="not there yet"
        )
        server.fixed["/fapi/v1/time"] = http_reply(200, {"serverTime": TIME_MS + 5_301})
        seen = await broker.look_up(doubtful, ())
        assert isinstance(seen, Absent)
        assert seen.conclusive


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(
    ("since_ms", "is_proof"), [(15_001, False), (17_000, False), (17_001, True)]
)
async def test_of_a_live_order_absence_proves_nothing_before_the_lag_and_its_margin(
    since_ms: int, is_proof: bool
) -> None:
    server = RawServer(replies=[http_reply(400, error(-2013))])
    async with broker_at(server, account="main", live=True) as broker:
        doubtful = in_doubt(await broker.prepare(intent_for("binance")))
        clock = broker._clock
        assert isinstance(clock, ManualClock)
        clock.advance(since_ms)
        server.fixed["/fapi/v1/time"] = http_reply(200, {"serverTime": TIME_MS + since_ms})
        seen = await broker.look_up(doubtful, ())
        assert isinstance(seen, Absent)
        assert seen.conclusive is is_proof


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(
    "reply",
    [
        http_reply(200, b"{}"),
        http_reply(200, b"nonsense"),
        http_reply(400, error(-1000)),
        http_reply(404, error(-2013)),
        http_reply(503, error(-2013)),
        HANG_UP,
    ],
)
async def test_a_look_up_that_can_not_be_read_never_says_absent(reply: bytes) -> None:
    server = RawServer(replies=[reply, HANG_UP])
    async with broker_at(server) as broker:
        doubtful = in_doubt(await broker.prepare(intent_for("binance")))
        assert isinstance(await broker.look_up(doubtful, ()), NoAnswer)


@pytest.mark.req("ORD-7")
async def test_with_the_brokers_id_only_that_order_will_do() -> None:
    intent = intent_for("binance")
    replies = [http_reply(200, row_of(intent)), http_reply(200, row_of(intent, orderId=7))]
    server = RawServer(replies=list(replies))
    async with broker_at(server) as broker:
        placed = replace(in_doubt(await broker.prepare(intent)), broker_order_id="325078477")
        assert isinstance(await broker.look_up(placed, ()), Found)
        assert isinstance(await broker.look_up(placed, ()), NoAnswer)
    assert b"orderId=325078477" in server.requests[-1]


@pytest.mark.req("ORD-14")
@pytest.mark.parametrize("reply", [http_reply(404, b""), http_reply(200, b"{}")])
async def test_a_paper_account_talks_to_the_paper_venue_only(reply: bytes) -> None:
    server = RawServer(fixed={"/healthz": reply})
    async with server.running():
        broker = BinanceBroker(BinanceAccount(base_url=server.url), ManualClock())
        with pytest.raises(BrokerUnavailable, match="not the paper venue"):
            await broker.start()
        await broker.close()


@pytest.mark.req("ORD-14")
@pytest.mark.parametrize(
    "fields",
    [
        {"account": "main"},
        {"account": "main", "api_key": "k"},
        {"api_key": "k", "api_secret": "s"},
        {"account": "main", "api_key": "k", "api_secret": "s", "base_url": "http://example.com"},
        {"account": "main", "api_key": "k", "api_secret": "s", "visibility_lag_ms": 9_999},
        {"account": "main", "api_key": "k", "api_secret": "s", "recv_window_ms": 60_001},
    ],
)
def test_a_live_account_without_all_it_needs_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BinanceAccount(**{"base_url": "https://example.com", "live": True, **fields})


async def test_secrets_are_in_no_repr_and_no_outcome() -> None:
    server = RawServer(replies=[http_reply(400, b"the-key and the-secret are wrong")])
    async with broker_at(server) as broker:
        prepared = await broker.prepare(intent_for("binance"))
        outcome = await broker.send(prepared)
        seen = f"{broker._login!r} {prepared!r} {outcome!r}"
    assert "the-key" not in seen
    assert "the-secret" not in seen


class Wire:
    """One broker and one server for many answers."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.server = RawServer()
        self.context = broker_at(self.server, "C", reply_within_ms=1_000)
        self.broker = self.runner.run(self.context.__aenter__())

    def send(self, intent: OrderIntent, reply: bytes) -> Outcome:
        async def send() -> Outcome:
            self.server.replies[:] = [reply]
            return await self.broker.send(await self.broker.prepare(intent))

        return self.runner.run(send())

    def close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture(scope="module")
def wire() -> Any:
    wire = Wire()
    yield wire
    wire.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda code, message: json.dumps({"code": code, "msg": message}).encode(),
        st.integers(-5_100, -900) | st.sampled_from([code for _, code, _ in DEFINITE]),
        st.text(max_size=20),
    ),
    st.just(b"[" * 5_000),
    st.just(b'{"code": -1e999999999999999999999, "msg": ""}'),
)


@pytest.mark.req("ORD-5")
@settings(max_examples=300, deadline=None)
@given(status=st.sampled_from([200, 400, 401, 429, 503]) | st.integers(200, 599), body=bodies)
def test_any_answer_is_unknown_unless_it_is_listed(wire: Wire, status: int, body: bytes) -> None:
    outcome = wire.send(intent_for("binance"), http_reply(status, body))
    if isinstance(outcome, NotPlaced):
        assert outcome.code in wire.broker.capabilities.definite_refusals
        assert status in (400, 401, 418, 429)
    else:
        assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-5")
@settings(max_examples=100, deadline=None)
@given(answer=st.binary(min_size=1, max_size=300))
def test_any_bytes_at_all_are_unknown(wire: Wire, answer: bytes) -> None:
    outcome = wire.send(intent_for("binance"), answer + b"\r\n\r\n")
    assert isinstance(outcome, Unknown)
