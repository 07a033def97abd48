"""Whatever a broker answers to a question, the adapter answers or says that it can't.

Orders' answers are fuzzed beside each adapter's own tests; these are the questions: look-ups,
books, positions and quotes. No bytes may raise anything but BrokerUnavailable, and none but the
one listed answer may prove an order's absence.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_support import OPTION, ManualClock, RawServer, http_reply, in_doubt, intent_for
from onefill.brokers.accounts import BinanceAccount, OpenAlgoAccount
from onefill.brokers.http import HttpLimits
from onefill.brokers.outcome import legible
from onefill.brokers.registry import Account, build_brokers
from onefill.core.defaults import BANK_NIFTY
from onefill.core.errors import BrokerUnavailable
from onefill.core.quote import Listing
from onefill.core.report import Absent, Found, NoAnswer
from onefill.ports.broker import Broker

TIME_MS = 1_767_600_000_000
HOUR_MS = 3_600_000
KINDS = [("binance", "A"), ("binance", "B"), ("binance", "C"), ("openalgo", "C")]

ROW_FIELDS = [
    *("orderId", "symbol", "status", "clientOrderId", "price", "avgPrice", "origQty"),
    *("executedQty", "cumQuote", "side", "positionAmt", "code", "msg", "bidPrice", "askPrice"),
    *("lastPrice", "algoId", "clientAlgoId", "algoStatus", "actualOrderId", "quantity", "time"),
    *("orderid", "exchange", "action", "order_status", "average_price", "filled_quantity"),
    *("ltp", "bid", "ask", "data", "orders", "message", "tag"),
]
words = st.sampled_from(
    [
        *("SIM001", "BUY", "SELL", "FILLED", "NEW", "complete", "open", "success", "error", "NFO"),
        *("2", "30", "0", "-1", "NaN", "Infinity", "1e999", "1e-999", "", "x", "100.5"),
        *("sNaN", "9e999999", "-9e999999", "1e-999999", "²", "٣", "7" * 50),
    ]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=4)
rows = st.dictionaries(st.sampled_from(ROW_FIELDS), leaves, max_size=12)
successes = st.builds(
    lambda data: {"status": "success", "data": data},
    rows | st.lists(rows | leaves, max_size=3) | st.builds(lambda o: {"orders": o}, st.lists(rows)),
)
DEEP = "[" * 3_000 + "]" * 3_000
ABSURD = ("sNaN", "NaN", "Infinity", "9e999999", "-9e999999", "1e-999999", "7" * 50, "²", "")
_BINANCE = {
    **{"orderId": 1, "symbol": "SIM001", "side": "BUY", "status": "FILLED", "origQty": "2"},
    **{"executedQty": "2", "clientOrderId": "MINE", "avgPrice": "100", "cumQuote": "200"},
    **{"price": "0", "algoId": 1, "clientAlgoId": "MINE", "algoStatus": "FINISHED"},
    **{"quantity": "2", "triggerPrice": "90", "actualOrderId": "1", "positionAmt": "2"},
    **{"bidPrice": "1", "askPrice": "2", "markPrice": "100", "leverage": 20, "asset": "USDT"},
    **{"availableBalance": "1000"},
}
_OPENALGO = {
    **{"orderid": "1", "symbol": OPTION, "exchange": "NFO", "action": "BUY", "quantity": "30"},
    **{"order_status": "complete", "filled_quantity": "30", "average_price": "10", "price": "1"},
    **{"trigger_price": "1", "bid": "1", "ask": "2", "ltp": "1", "lotsize": 30},
    **{"total_margin_required": "10", "availablecash": "1000"},
}


def absurd_bodies(broker: str, name: str) -> list[bytes]:
    """Answers that are right but for one figure, or for what nobody reads: once, in a list."""
    whole = _BINANCE if broker == "binance" else _OPENALGO
    rows = [{**whole, field: figure} for field in whole for figure in ABSURD]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    texts.append(f'{json.dumps(whole)[:-1]}, "more": {DEEP}}}')
    if broker == "binance":
        texts += [f"[{text}, {text}]" for text in texts]
    else:
        success = '{"status": "success", "data": %s}'
        orders = [success % f'{{"orders": [{text}]}}' for text in texts]
        texts = [success % f"[{text}, {text}]" for text in texts] + orders
    return [text.replace("MINE", name).encode() for text in texts]


bodies = st.one_of(
    st.binary(max_size=100),
    (rows | st.lists(rows | leaves, max_size=3) | successes | leaves).map(
        lambda value: json.dumps(value).encode()
    ),
    st.just(b"[" * 5_000),
    st.just(b'{"code": -1e999999999999999999999, "msg": ""}'),
)
statuses = st.sampled_from([200, 400, 503]) | st.integers(200, 599).filter(
    lambda status: status not in (418, 429)  # after these nothing is asked for a while
)


class Parrot(RawServer):
    """Says one and the same to whatever is not fixed."""

    said: bytes = b""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = await self._request(reader)
            writer.write(self.fixed.get(path, self.said))
            await writer.drain()


class Asked:
    """One started adapter at a server that answers everything alike from now on."""

    def __init__(self, name: str, broker_class: str) -> None:
        self.runner = asyncio.Runner()
        self.server = Parrot()
        self.clock = ManualClock()
        self.server.fixed["/healthz"] = http_reply(200, {"class": broker_class, "lag_ms": 300})
        band = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9"}
        listed = {"symbol": "SIM001", "status": "TRADING", "filters": [band]}
        self.server.fixed["/fapi/v1/exchangeInfo"] = http_reply(200, {"symbols": [listed]})
        dual = http_reply(200, {"dualSidePosition": False})
        self.server.fixed["/fapi/v1/positionSide/dual"] = dual
        self.tell_time(TIME_MS)
        self.server.said = http_reply(200, {"status": "success", "data": []})
        self.context = self.server.running()
        self.runner.run(self.context.__aenter__())
        self.broker: Broker = self._build(name)
        self.runner.run(self.broker.start())
        empty = [] if name == "binance" else {"status": "success", "data": {"orders": []}}
        self.server.said = http_reply(200, empty)
        prepared = self.runner.run(self.broker.prepare(intent_for(name)))
        self.doubtful = in_doubt(prepared)
        self.clock.advance(HOUR_MS)
        self.tell_time(TIME_MS + HOUR_MS)

    def _build(self, name: str) -> Broker:
        limits = HttpLimits(reply_within_ms=1_000)
        accounts: dict[str, Account] = {
            "binance": BinanceAccount(base_url=self.server.url, http=limits),
            "openalgo": OpenAlgoAccount(base_url=self.server.url, http=limits),
        }
        return next(iter(build_brokers([accounts[name]], self.clock).values()))

    def tell_time(self, now_ms: int) -> None:
        self.server.fixed["/fapi/v1/time"] = http_reply(200, {"serverTime": now_ms})

    def close(self) -> None:
        self.runner.run(self.broker.close())
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    one = Asked(*request.param)
    yield one
    one.close()


@pytest.mark.req("ORD-5", "ORD-7", "Q-5")
@settings(max_examples=150, deadline=None)
@given(status=statuses, body=bodies)
def test_a_look_up_survives_any_answer_and_only_the_listed_one_proves_absence(
    asked: Asked, status: int, body: bytes
) -> None:
    asked.server.said = http_reply(status, body)
    seen = asked.runner.run(asked.broker.look_up(asked.doubtful, ()))
    assert isinstance(seen, Found | Absent | NoAnswer)
    if isinstance(seen, Absent) and seen.conclusive:
        assert status == 400
        assert json.loads(body)["code"] == -2013
    if isinstance(seen, Found):
        assert seen.report.filled_quantity <= asked.doubtful.order.quantity


def everything_asked(asked: Asked) -> list[Any]:
    """What each question makes of what the server says now: an answer, or an exception."""

    asked.clock.advance(400_000)  # nothing is remembered from the answer before

    async def ask() -> list[Any]:
        broker, doubtful = asked.broker, asked.doubtful
        symbol, exchange = doubtful.order.symbol, doubtful.order.exchange
        found = [replace(doubtful, broker_order_id=number) for number in ("1", "algo-1")]
        questions = [
            *(broker.look_up(intent, ()) for intent in (doubtful, *found)),
            broker.positions(),
            broker.open_orders(),
            broker.history({symbol}),
            broker.quotes([Listing(symbol, exchange)]),
            broker.refuses_us(),
            broker.prepare(intent_for(broker.name)),
        ]
        return await asyncio.gather(*questions, return_exceptions=True)

    return asked.runner.run(ask())


@pytest.mark.req("ORD-5", "Q-5")
def test_no_absurd_figure_in_an_answer_breaks_a_question_or_comes_through(asked: Asked) -> None:
    for body in absurd_bodies(asked.broker.name, asked.doubtful.client_order_id):
        asked.server.said = http_reply(200, body)
        for answer in everything_asked(asked):
            if isinstance(answer, BaseException):
                assert isinstance(answer, BrokerUnavailable), (body[:300], repr(answer))
            assert not re.search(r"Decimal\('-?(s?NaN|Inf|9E\+|7{50}|1E-9)", repr(answer)), body


@pytest.mark.req("ORD-5", "Q-5")
async def test_what_breaks_while_an_answer_is_read_is_no_answer() -> None:
    @legible
    async def careless(body: dict[str, str]) -> str:
        return body["nothing"]

    with pytest.raises(BrokerUnavailable, match="KeyError"):
        await careless({})


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize("asked", [("binance", "B")], indirect=True, ids="-".join)
def test_the_listed_answer_does_prove_it_once_nothing_can_appear_any_more(asked: Asked) -> None:
    asked.server.said = http_reply(400, {"code": -2013, "msg": "Order does not exist."})
    seen = asked.runner.run(asked.broker.look_up(asked.doubtful, ()))
    assert isinstance(seen, Absent)
    assert seen.conclusive


@pytest.mark.req("ORD-5", "Q-5")
@settings(max_examples=100, deadline=None)
@given(status=statuses, body=bodies)
def test_books_positions_and_quotes_are_read_or_said_to_be_unreadable(
    asked: Asked, status: int, body: bytes
) -> None:
    asked.server.said = http_reply(status, body)

    async def ask() -> list[Any]:
        order = asked.doubtful.order
        broker, listings = asked.broker, [Listing(order.symbol, order.exchange)]
        questions = [
            broker.positions(),
            broker.open_orders(),
            broker.history({order.symbol}),
            broker.quotes(listings),
            broker.series(BANK_NIFTY),
        ]
        return await asyncio.gather(*questions, return_exceptions=True)

    for answer in asked.runner.run(ask()):
        assert not isinstance(answer, BaseException) or isinstance(answer, BrokerUnavailable)
