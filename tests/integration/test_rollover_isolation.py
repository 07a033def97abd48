"""Steps of a rollover are written at SERIALIZABLE, and again where somebody wrote meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from onefill.core.book import Decision, Situation
from onefill.core.ids import Epoch, Lane, lane_of
from onefill.core.intent import OrderIntent
from onefill.core.orders.settlement import settle
from onefill.postgres.faults import Conflicted
from onefill.postgres.trading.rollovers import PostgresRollovers
from onefill.postgres.trading.store import PostgresTradingStore
from trading_support import (
    PostgresAuthority,
    base_entry,
    claim_of,
    decide,
    exits,
    filled,
    holder,
    lead,
    log_all,
)

LANE = lane_of("main", "BANK_NIFTY")
# What the database itself says of the transaction that writes a position.
NOTE_ISOLATION = """
CREATE TABLE seen (was text, became text, isolation text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen VALUES (
        CASE TG_OP WHEN 'UPDATE' THEN OLD.rollover_status END, NEW.rollover_status,
        current_setting('transaction_isolation'));
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON portfolio_positions
FOR EACH ROW EXECUTE FUNCTION note();
"""


class Rolling:
    """A position that is to roll, and whoever decides its lane."""

    def __init__(self, postgres: PostgresAuthority, epoch: Epoch) -> None:
        self.postgres = postgres
        self.epoch = epoch
        self.store: PostgresTradingStore = postgres.trading(holder("a"))

    async def enter(self) -> None:
        entry = base_entry("BANK_NIFTY", await self.store.now(), "1")
        await log_all(self.postgres.signals(holder("a")), entry)
        await self.fill(await self.decided())

    async def decided(
        self, going_on: Callable[[Situation], Decision | None] = exits
    ) -> tuple[OrderIntent, ...]:
        lanes = [Lane(LANE)]
        return (await self.store.decide(self.epoch, lanes, decide, going_on)).intents

    async def fill(self, intents: Sequence[OrderIntent]) -> None:
        for intent in intents:
            claims = [claim_of(intent, await self.store.now())]
            assert set((await self.store.claim(self.epoch, claims)).values()) == {"claimed"}
            await self.store.settle([filled(intent)], settle)

    async def seen(self) -> list[tuple[object, ...]]:
        rows = await self.postgres.rows("DELETE FROM seen RETURNING was, became, isolation")
        return [tuple(row.values()) for row in rows]


@pytest.fixture
async def rolling(database_url: str) -> AsyncIterator[Rolling]:
    postgres = PostgresAuthority(database_url)
    desk = Rolling(postgres, await lead(postgres, holder("a")))
    connection = await asyncpg.connect(database_url)
    await connection.execute(NOTE_ISOLATION)
    await connection.close()
    await desk.enter()
    yield desk
    await postgres.close()


@pytest.mark.req("PF-24", "IF-9")
async def test_each_step_of_a_rollover_is_serializable_and_nothing_else_is(
    rolling: Rolling,
) -> None:
    assert {isolation for _, _, isolation in await rolling.seen()} == {"read committed"}
    scan = PostgresRollovers(rolling.postgres.held(holder("a")), lambda *_: True)
    await scan.scan(rolling.epoch)
    assert await rolling.seen() == [("none", "pending", "serializable")]
    closing = await rolling.decided()
    assert await rolling.seen() == [("pending", "in_progress", "serializable")]
    await rolling.fill(closing)
    await rolling.seen()
    opening = await rolling.decided()
    assert sorted(map(str, await rolling.seen())) == [
        str(("in_progress", "rolled", "serializable")),
        str((None, "none", "serializable")),
    ]
    await rolling.fill(opening)
    assert ("none", "rolled", "serializable") in await rolling.seen()
    rows = await rolling.postgres.rows("SELECT status, basis IS NOT NULL AS moved FROM rollovers")
    assert [tuple(row.values()) for row in rows] == [("rolled", True)]


@pytest.mark.req("PF-24", "IF-9")
async def test_a_step_that_met_another_write_is_decided_again_on_what_there_is_then(
    rolling: Rolling,
) -> None:
    await rolling.postgres.rows("UPDATE portfolio_positions SET rollover_status = 'pending'")
    capital = []

    async def pay_in() -> None:
        connection = await asyncpg.connect(rolling.postgres.url)
        await connection.execute(
            "UPDATE portfolio_state SET movements = movements + 7, version = version + 1;"
            "UPDATE portfolio_positions SET last_price = 1, version = version + 1"
        )
        await connection.close()

    def disturbed(situation: Situation) -> Decision | None:
        """Somebody else writes between what is read here and what is written of it."""
        capital.append(situation.account.movements)
        if len(capital) < 3:
            with ThreadPoolExecutor() as beside:
                beside.submit(lambda: asyncio.run(pay_in())).result()
        return exits(situation)

    closing = await rolling.decided(disturbed)
    assert [intent.leg for intent in closing] == ["pe", "ce"]
    # Once to see that it is a step of a rollover, once in vain, and once undisturbed.
    assert capital == [0, 7, 14]
    (row,) = await rolling.postgres.rows("SELECT count(*) AS n FROM order_intents")
    assert row["n"] == 4


@pytest.mark.req("PF-24", "IF-9", "OPS-3")
async def test_a_conflict_writes_nothing_and_leaves_its_connection_sound(
    rolling: Rolling,
) -> None:
    held, other = (rolling.postgres.held(holder(name)) for name in ("a", "b"))
    (before,) = await held.read("SELECT pg_backend_pid() AS pid")
    with pytest.raises(Conflicted):
        async with held.guarded(rolling.epoch, serializable=True) as transaction:
            await transaction.fetch("SELECT movements FROM portfolio_state")
            await other.write("UPDATE portfolio_state SET movements = 5")
            await transaction.fetch("UPDATE portfolio_state SET movements = movements + 1")
    assert await held.read("SELECT pg_backend_pid() AS pid") == [before]
    (row,) = await held.read("SELECT movements FROM portfolio_state")
    assert row["movements"] == 5
