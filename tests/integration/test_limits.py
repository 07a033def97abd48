"""Hard limits at the last door, on a real database, also when two claim at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from onefill.core.ids import Epoch
from onefill.core.intent import OrderIntent
from onefill.core.orders.limits import LimitBook, Limits
from onefill.core.orders.settlement import settle
from onefill.core.signal import SignalKind
from onefill.ports.signal_log import SignalLog
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


@dataclass
class Desk:
    """A leader with these limits."""

    postgres: PostgresAuthority
    store: PostgresTradingStore
    log: SignalLog
    epoch: Epoch

    async def order(self, instrument: str, order_id: str, quantity: int = 1) -> OrderIntent:
        signal = buy(instrument, await self.store.now(), order_id, abs(quantity))
        if quantity < 0:
            signal = replace(signal, kind=SignalKind.SELL)
        await log_all(self.log, signal)
        (intent,) = await decide_lanes(self.store, self.epoch, [signal.lane])
        return intent

    async def trade(self, intent: OrderIntent, price: int) -> None:
        assert await self.claim(intent) == ["claimed"]
        await self.store.settle([filled(intent, price=price)], settle)

    async def claim(self, *intents: OrderIntent) -> Sequence[str]:
        now = await self.store.now()
        claims = [claim_of(intent, now) for intent in intents]
        answers = await self.store.claim(self.epoch, claims)
        return [answers[intent.client_order_id] for intent in intents]

    async def blocked(self) -> list[object]:
        rows = await self.postgres.rows("SELECT blocked FROM lanes ORDER BY lane")
        return [row["blocked"] for row in rows]

    async def reasons(self) -> list[object]:
        rows = await self.postgres.rows(
            "SELECT processing_status AS status, reason FROM signal_log ORDER BY id"
        )
        return [(row["status"], row["reason"]) for row in rows]


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """No limits yet: a test sets them before its first claim."""
    postgres = PostgresAuthority(database_url)
    yield Desk(postgres, postgres.trading(ME), postgres.signals(ME), await lead(postgres, ME))
    await postgres.close()


def limited(desk: Desk, name: str = ACCOUNT, **limits: object) -> None:
    desk.postgres.limits = LimitBook(by_name={name: Limits(**limits)})  # type: ignore[arg-type]
    desk.store = desk.postgres.trading(ME)


@pytest.mark.req("ORD-15")
async def test_an_order_that_is_too_large_ends_and_blocks_its_lane_and_no_other(
    desk: Desk,
) -> None:
    limited(desk, quantity_max=Decimal(5))
    small, large = await desk.order("SIM001", "a", 5), await desk.order("SIM002", "b", 6)
    assert await desk.claim(small, large) == ["claimed", "limited"]
    assert await desk.blocked() == [None, "limit_quantity"]
    assert (await desk.reasons())[1] == ("blocked", "limit_quantity")
    assert await desk.postgres.rows("SELECT FROM portfolio_positions WHERE status = 'closed'")


@pytest.mark.req("ORD-15")
async def test_a_symbols_own_limit_holds_beside_its_accounts(desk: Desk) -> None:
    limited(desk, f"{ACCOUNT}/SIM002", quantity_max=Decimal(2))
    other, mine = await desk.order("SIM001", "a", 9), await desk.order("SIM002", "b", 3)
    assert await desk.claim(other, mine) == ["claimed", "limited"]


@pytest.mark.req("ORD-15")
async def test_an_order_of_unknown_worth_is_not_let_through_a_limit_of_worth(desk: Desk) -> None:
    limited(desk, notional_max=Decimal(1_000))
    unknown = await desk.order("SIM001", "a")
    assert await desk.claim(unknown) == ["limited"]
    priced, dear = await desk.order("SIM002", "b", 10), await desk.order("SIM003", "c", 11)
    await desk.postgres.rows("UPDATE portfolio_positions SET last_price = 100")
    assert await desk.claim(priced, dear) == ["claimed", "limited"]


@pytest.mark.req("ORD-15", "ORD-11")
async def test_so_many_orders_a_minute_and_no_more_however_many_claim_at_once(
    desk: Desk,
) -> None:
    limited(desk, orders_a_minute=3)
    orders = [await desk.order(f"SIM{n:03}", "o") for n in range(8)]
    second = desk.postgres.trading(ME)
    now = await desk.store.now()
    both = await asyncio.gather(
        *(
            store.claim(desk.epoch, [claim_of(order, now)])
            for order, store in zip(orders, [desk.store, second] * 4, strict=True)
        )
    )
    verdicts = [verdict for answers in both for verdict in answers.values()]
    assert sorted(verdicts) == ["claimed"] * 3 + ["limited"] * 5


@pytest.mark.req("ORD-15", "ORD-8")
async def test_an_exit_above_the_rate_waits_and_blocks_nothing(desk: Desk) -> None:
    limited(desk, orders_a_minute=1, quantity_max=Decimal(1))
    held = await desk.order("SIM001", "a")
    assert await desk.claim(held) == ["claimed"]
    await desk.store.settle([filled(held)], settle)
    await log_all(desk.log, close("SIM001", await desk.store.now(), "b"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    assert await desk.claim(leaving) == ["waiting"]
    assert await desk.blocked() == [None]
    await desk.postgres.rows("UPDATE order_attempts SET claimed_at = now() - interval '61 s'")
    assert await desk.claim(leaving) == ["claimed"]


@pytest.mark.req("ORD-15")
async def test_after_the_days_loss_nothing_opens_and_everything_closes(desk: Desk) -> None:
    limited(desk, daily_loss=Decimal(50))
    held = await desk.order("SIM001", "a", 10)
    assert await desk.claim(held) == ["claimed"]
    await desk.store.settle([filled(held, price=100)], settle)
    other = await desk.order("SIM002", "b")
    assert await desk.claim(other) == ["claimed"]
    await desk.store.settle([filled(other)], settle)
    await log_all(desk.log, close("SIM001", await desk.store.now(), "c"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    assert await desk.claim(leaving) == ["claimed"]
    await desk.store.settle([filled(leaving, price=95)], settle)
    assert await desk.claim(await desk.order("SIM003", "d")) == ["limited"]
    assert await desk.blocked() == [None, None, "limit_loss"]
    await log_all(desk.log, close("SIM002", await desk.store.now(), "e"))
    (out,) = await decide_lanes(desk.store, desk.epoch, [other.lane])
    assert await desk.claim(out) == ["claimed"]


@pytest.mark.req("ORD-15")
@pytest.mark.parametrize(
    ("yesterday", "today", "verdict"),
    [(200, 95, "limited"), (95, 104, "claimed"), (95, 99, "claimed"), (200, 96, "claimed")],
)
async def test_the_days_loss_is_what_was_lost_since_midnight_whatever_the_position_had_before(
    desk: Desk, yesterday: int, today: int, verdict: str
) -> None:
    limited(desk, daily_loss=Decimal(50))
    held = await desk.order("SIM001", "a", 30)
    await desk.trade(held, 100)
    await desk.trade(await desk.order("SIM001", "b", -10), yesterday)
    for moment in (
        "fills SET booked_at = booked_at",
        "portfolio_positions SET opened_at = opened_at",
    ):
        await desk.postgres.rows(f"UPDATE {moment} - interval '1 day'")
    await desk.trade(await desk.order("SIM001", "c", -10), today)
    assert await desk.claim(await desk.order("SIM002", "d")) == [verdict]


@pytest.mark.req("ORD-15")
async def test_an_order_in_slices_is_judged_as_the_whole_that_it_is(desk: Desk) -> None:
    limited(desk, quantity_max=Decimal(100))
    for instrument, quantity, verdict in (("SIM001", 100, "claimed"), ("SIM002", 101, "limited")):
        signal = buy(instrument, await desk.store.now(), "a", quantity)
        await log_all(desk.log, signal)
        first, *_ = await decide_lanes(
            desk.store, desk.epoch, [signal.lane], most_of=lambda _: Decimal(60)
        )
        assert first.order.quantity == 60
        assert await desk.claim(first) == [verdict]
    unsent = await desk.postgres.rows("SELECT state FROM order_intents WHERE state = 'NEW'")
    assert len(unsent) == 1
