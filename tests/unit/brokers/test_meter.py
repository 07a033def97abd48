"""Every request passes the meter: what it lets through, and what it makes of «too much»."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from broker_support import ManualClock, RawServer, http_reply, intent_for
from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import BinanceBroker
from onefill.brokers.meter import Meter, RateRow, Rates, rates_of
from onefill.core.errors import BrokerUnavailable
from onefill.core.orders.rates import RateWindow, Room, Urgency
from onefill.core.orders.report import NotPlaced, NotSent
from onefill.ports.rates import urgently
from support import until

MINUTE = RateWindow(most=2_400, window_ms=60_000)


@dataclass
class Counter:
    """A store of rates that grants so much, and remembers what it was told."""

    left: int = 100
    asked: list[tuple[int, Urgency]] = field(default_factory=list)
    holds: list[tuple[str, int]] = field(default_factory=list)

    async def room(self, account: str, windows: Sequence[RateWindow]) -> Room:
        return Room.left([(window, 0) for window in windows])

    async def grant(
        self, account: str, windows: Sequence[RateWindow], weight: int, urgency: Urgency
    ) -> int:
        self.asked.append((weight, urgency))
        granted = min(max(weight, 10), self.left)
        if granted < weight:
            return 0
        self.left -= granted
        return granted

    async def hold(self, account: str, hold_ms: int, why: str) -> None:
        self.holds.append((account, hold_ms))


def metered(counter: Counter, clock: ManualClock) -> Meter:
    meter = Meter("binance/paper", clock, counter, {"/heavy": 40})
    meter.rates = Rates(questions=(MINUTE,))
    return meter


@pytest.mark.req("ORD-11")
async def test_a_grant_serves_many_questions_and_is_void_after_its_time() -> None:
    counter, clock = Counter(), ManualClock()
    meter = metered(counter, clock)
    for _ in range(10):
        await meter.admit("/light")
    assert counter.asked == [(1, Urgency.NORMAL)]
    await meter.admit("/light")
    clock.advance(3_000)
    await meter.admit("/light")
    assert len(counter.asked) == 3
    await meter.admit("/heavy")
    assert counter.asked[-1] == (40, Urgency.NORMAL)


@pytest.mark.req("ORD-11")
async def test_a_poll_without_room_is_skipped_and_what_matters_waits_its_turn() -> None:
    counter, clock = Counter(left=0), ManualClock()
    meter = metered(counter, clock)
    with urgently(Urgency.LATER), pytest.raises(BrokerUnavailable):
        await meter.admit("/light")
    with urgently(Urgency.FIRST):
        waiting = asyncio.create_task(meter.admit("/light"))
    await clock.asleep.wait()
    counter.left = 5
    clock.advance(100)
    clock.wake()
    await waiting
    assert counter.asked[-1] == (1, Urgency.FIRST)


@pytest.mark.req("ORD-11")
async def test_no_question_waits_for_ever() -> None:
    counter, clock = Counter(left=0), ManualClock()
    waiting = asyncio.create_task(metered(counter, clock).admit("/light"))
    await clock.asleep.wait()
    clock.advance(10_001)
    clock.wake()
    with pytest.raises(BrokerUnavailable):
        await waiting


@pytest.mark.req("ORD-11")
def test_the_rates_that_a_broker_lists_are_read_and_others_left_out() -> None:
    rows = [
        RateRow("REQUEST_WEIGHT", "MINUTE", 1, 2_400),
        RateRow("ORDERS", "SECOND", 10, 300),
        RateRow("ORDERS", "FORTNIGHT", 1, 7),
        RateRow("RAW_REQUESTS", "MINUTE", 5, 61_000),
    ]
    ten_seconds = RateWindow(most=300, window_ms=10_000)
    assert rates_of(rows) == Rates(orders=(ten_seconds,), questions=(MINUTE,))


@asynccontextmanager
async def broker_with(
    counter: Counter, clock: ManualClock
) -> AsyncIterator[tuple[BinanceBroker, RawServer]]:
    server = RawServer()
    server.fixed["/healthz"] = http_reply(200, {"class": "B", "lag_ms": 300})
    orders = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300}
    listing = {"symbols": [], "rateLimits": [orders]}
    server.fixed["/fapi/v1/exchangeInfo"] = http_reply(200, listing)
    server.fixed["/fapi/v1/positionSide/dual"] = http_reply(200, {"dualSidePosition": False})
    server.fixed["/fapi/v1/time"] = http_reply(200, {"serverTime": 1_800_000_000_000})
    async with server.running():
        broker = BinanceBroker(BinanceAccount(base_url=server.url), clock, rates=counter)
        try:
            await broker.start()
            yield broker, server
        finally:
            await broker.close()


@pytest.mark.req("ORD-11")
async def test_what_was_claimed_before_a_429_is_not_written_after_it() -> None:
    counter, clock = Counter(), ManualClock()
    async with broker_with(counter, clock) as (broker, server):
        first, second = [await broker.prepare(intent_for("binance")) for _ in range(2)]
        assert first.order_rates == (RateWindow(most=300, window_ms=10_000),)
        too_much = {"code": -1015, "msg": "Too many new orders"}
        server.replies.append(http_reply(429, too_much, retry_after_s=7))
        refused = await broker.send(first)
        assert isinstance(refused, NotPlaced)
        assert refused.retry
        assert counter.holds == [("binance/paper", 7_000)]
        assert isinstance(await broker.send(second), NotSent)
        assert len(server.posts_to("/fapi/v1/order")) == 1
        clock.advance(7_001)
        server.replies.append(http_reply(400, {"code": -2019, "msg": "no margin"}))
        third = await broker.prepare(intent_for("binance"))
        assert isinstance(await broker.send(third), NotPlaced)
        assert len(server.posts_to("/fapi/v1/order")) == 2


@pytest.mark.req("ORD-11", "ORD-5", "Q-5")
@pytest.mark.parametrize("said", [10**12, 10**4_000])
async def test_a_pause_without_sense_costs_neither_the_answer_nor_the_account(said: int) -> None:
    counter, clock = Counter(), ManualClock()
    async with broker_with(counter, clock) as (broker, server):
        too_much = {"code": -1015, "msg": "Too many new orders"}
        server.replies.append(http_reply(429, too_much, retry_after_s=said))
        assert isinstance(await broker.send(await broker.prepare(intent_for("binance"))), NotPlaced)
        assert counter.holds == [("binance/paper", 259_200_000)]


@pytest.mark.req("ORD-11")
async def test_a_question_during_a_pause_that_outlasts_it_is_not_asked_at_all() -> None:
    counter, clock = Counter(), ManualClock()
    async with broker_with(counter, clock) as (broker, server):
        banned = http_reply(418, {"code": -1003, "msg": "banned"}, retry_after_s=120)
        server.fixed["/fapi/v3/positionRisk"] = banned
        with pytest.raises(BrokerUnavailable):
            await broker.positions()
        asked = len(server.requests)
        with pytest.raises(BrokerUnavailable):
            await broker.positions()
        assert len(server.requests) == asked
        await until(lambda: counter.holds == [("binance/paper", 120_000)])
