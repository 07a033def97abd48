"""Brokers' rate limits on a real database: counted by all instances together, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import pytest

from onefill.core.ids import Epoch
from onefill.core.intent import OrderIntent
from onefill.core.orders.rates import RateWindow, Room, Urgency
from onefill.core.orders.report import NotSent
from onefill.core.orders.settlement import Told, settle
from onefill.ports.signal_log import SignalLog
from onefill.postgres.trading.rates import PostgresRates
from onefill.postgres.trading.store import PostgresTradingStore
from trading_support import (
    PostgresAuthority,
    buy,
    claim_of,
    close,
    decide_lanes,
    filled,
    holder,
    lead,
    log_all,
)

ME = holder("a")
ACCOUNT = "binance/paper"
TEN_IN_A_MINUTE = (RateWindow(most=10, window_ms=60_000),)


@dataclass
class Desk:
    """A leader, and as many others as a test wants, at one account."""

    postgres: PostgresAuthority
    store: PostgresTradingStore
    log: SignalLog
    epoch: Epoch
    rates: PostgresRates

    async def orders(self, count: int, prefix: str = "o") -> list[OrderIntent]:
        """So many entries, each in a lane of its own."""
        now = await self.store.now()
        signals = [buy(f"SIM{n:03}", now, f"{prefix}{n}") for n in range(1, count + 1)]
        await log_all(self.log, *signals)
        return list(await decide_lanes(self.store, self.epoch, [s.lane for s in signals]))

    async def claim(
        self, intents: Sequence[OrderIntent], store: PostgresTradingStore | None = None
    ) -> list[str]:
        now = await self.store.now()
        claims = [
            replace(claim_of(intent, now), account=ACCOUNT, order_rates=TEN_IN_A_MINUTE)
            for intent in intents
        ]
        answers = await (store or self.store).claim(self.epoch, claims)
        return [answers[intent.client_order_id] for intent in intents]

    async def later(self, seconds: int) -> None:
        """As if all attempts so far were made so many seconds earlier."""
        await self.postgres.rows(
            "UPDATE order_attempts SET claimed_at = claimed_at - $1 * interval '1 s', "
            "send_by = send_by - $1 * interval '1 s', "
            "outcome_at = outcome_at - $1 * interval '1 s'",
            seconds,
        )


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """An account that takes ten orders a minute."""
    postgres = PostgresAuthority(database_url)
    store, log = postgres.trading(ME), postgres.signals(ME)
    epoch = await lead(postgres, ME)
    yield Desk(postgres, store, log, epoch, PostgresRates(postgres.held(ME)))
    await postgres.close()


@pytest.mark.req("ORD-11")
async def test_all_instances_together_claim_what_the_broker_takes_and_no_more(desk: Desk) -> None:
    orders = await desk.orders(30)
    stores = [desk.store, *(desk.postgres.trading(holder(name)) for name in "bc")]
    verdicts = await asyncio.gather(
        *(desk.claim([order], stores[n % 3]) for n, order in enumerate(orders))
    )
    assert sorted(v for answers in verdicts for v in answers) == [
        *["claimed"] * 9,
        *["throttled"] * 21,
    ]
    assert await desk.postgres.rows("SELECT FROM lanes WHERE blocked IS NOT NULL") == []
    states = await desk.postgres.rows("SELECT state FROM order_intents WHERE state = 'NEW'")
    assert len(states) == 21


@pytest.mark.req("ORD-11")
async def test_an_exit_goes_before_entries_and_finds_room_where_they_find_none(desk: Desk) -> None:
    held, *entries = await desk.orders(12)
    assert await desk.claim([held]) == ["claimed"]
    await desk.store.settle([filled(held)], settle)
    await log_all(desk.log, close(held.instrument, await desk.store.now(), "c"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    answers = await desk.claim([*entries, leaving])
    assert answers == ["claimed"] * 7 + ["throttled"] * 4 + ["claimed"]
    assert (await desk.store.claimable(1))[0].adds_exposure
    assert await desk.rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=0, exits=1)


@pytest.mark.req("ORD-11")
async def test_the_sweep_brings_an_exit_before_all_entries_that_wait(desk: Desk) -> None:
    held, *_ = await desk.orders(5)
    await desk.claim([held])
    await desk.store.settle([filled(held)], settle)
    await log_all(desk.log, close(held.instrument, await desk.store.now(), "c"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    first, *others = await desk.store.claimable(100)
    assert first.client_order_id == leaving.client_order_id
    assert len(others) == 4


@pytest.mark.req("ORD-11")
async def test_an_attempt_counts_until_its_window_has_passed_since_it_can_have_arrived(
    desk: Desk,
) -> None:
    answered, silent, unsent, *entries = await desk.orders(20)
    await desk.claim([answered, silent, unsent])
    never = Told(client_order_id=unsent.client_order_id, attempt=1, word=NotSent(detail="late"))
    await desk.store.settle([filled(answered), never], settle)
    assert await desk.rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=7, exits=8)
    await desk.later(61)
    assert await desk.rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=8, exits=9)
    await desk.later(15)
    assert await desk.rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=9, exits=10)
    assert await desk.claim(entries) == ["claimed"] * 9 + ["throttled"] * 8


@pytest.mark.req("ORD-11")
async def test_an_account_that_the_broker_told_to_wait_waits_everywhere(desk: Desk) -> None:
    orders = await desk.orders(2)
    other = PostgresRates(desk.postgres.held(holder("b")))
    await other.hold(ACCOUNT, 60_000, "HTTP 429")
    assert await desk.claim(orders) == ["throttled"] * 2
    assert await desk.rates.grant(ACCOUNT, TEN_IN_A_MINUTE, 1, Urgency.FIRST) == 0
    await other.hold(ACCOUNT, 1, "HTTP 429")
    assert await desk.claim(orders) == ["throttled"] * 2
    await desk.postgres.rows("UPDATE rate_holds SET held_until = now()")
    assert await desk.claim(orders) == ["claimed"] * 2


@pytest.mark.req("ORD-11")
async def test_questions_of_all_instances_keep_to_the_weight_and_the_urgent_come_last_to_an_end(
    desk: Desk,
) -> None:
    minute = (RateWindow(most=100, window_ms=60_000),)
    others = [desk.rates, PostgresRates(desk.postgres.held(holder("b")))]
    for urgency, most in ((Urgency.LATER, 70), (Urgency.NORMAL, 80), (Urgency.FIRST, 90)):
        grants = await asyncio.gather(
            *(others[n % 2].grant(ACCOUNT, minute, 1, urgency) for n in range(40))
        )
        assert 0 in grants
        rows = await desk.postgres.rows("SELECT sum(weight) AS sum FROM rate_grants")
        assert rows == [{"sum": most}]
    await desk.postgres.rows("UPDATE rate_grants SET use_by = use_by - interval '64 s'")
    assert await desk.rates.grant(ACCOUNT, minute, 1, Urgency.LATER) == 5
