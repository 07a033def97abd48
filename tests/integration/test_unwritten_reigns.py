"""What the lease's row notes for the history gets there once, whoever dies or writes beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from onefill.core.ids import Epoch
from onefill.ports.lease import LEADER
from onefill.postgres.control.history import LeadershipHistory
from support import until
from trading_support import TTL_MS, PostgresAuthority, holder, lead

A, B, C = holder("a"), holder("b"), holder("c")
TOLD = "SELECT instance, reason, end_reason FROM leadership_history ORDER BY epoch"
UNWRITTEN = "SELECT jsonb_array_length(unwritten) AS facts FROM leases"


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """The authority on a fresh database."""
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


async def all_told(postgres: PostgresAuthority) -> None:
    """Wait until nothing is left to write."""

    async def told() -> bool:
        return (await postgres.rows(UNWRITTEN))[0]["facts"] == 0

    await until(told)


@pytest.mark.req("CTL-18")
async def test_a_history_that_is_away_holds_up_no_reign_and_gets_them_all_on_its_return(
    postgres: PostgresAuthority,
) -> None:
    leases = postgres.leases(A)
    await postgres.rows("ALTER TABLE leadership_history RENAME TO mislaid")
    epoch = await leases.acquire(LEADER, Epoch(0), A, TTL_MS)
    assert epoch is not None
    for turn, (giver, taker) in enumerate([(A, B), (B, C), (C, A)]):
        now = Epoch(epoch + turn)
        assert await leases.transfer(LEADER, now, giver, taker, ttl_ms=TTL_MS, reason="takeover")
    await leases.close()
    await postgres.rows("ALTER TABLE mislaid RENAME TO leadership_history")
    history = LeadershipHistory(postgres.held(A), postgres.around.clock)
    history.write_up(LEADER)
    await history.written()
    told = [(row["instance"], row["end_reason"]) for row in await postgres.rows(TOLD)]
    assert told == [("a", "takeover"), ("b", "takeover"), ("c", "takeover"), ("a", None)]
    await history.close()


@pytest.mark.req("CTL-18", "CTL-1")
@pytest.mark.parametrize("locked", ["leadership_history", "instance_metadata"])
async def test_a_history_that_somebody_locks_delays_neither_takeovers_nor_renewals(
    postgres: PostgresAuthority, locked: str
) -> None:
    leases = postgres.leases(A)
    epoch = await leases.acquire(LEADER, Epoch(0), A, TTL_MS)
    assert epoch is not None
    await all_told(postgres)
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute(f"LOCK TABLE {locked}")
        taken = await postgres.leases(B).force(LEADER, epoch, B, TTL_MS)
        assert taken == epoch + 1
        for _ in range(3):
            assert await postgres.leases(B).renew(LEADER, taken, B, TTL_MS)
        assert (await postgres.rows(UNWRITTEN))[0]["facts"] == 2
    await other.close()
    await all_told(postgres)
    assert [row["instance"] for row in await postgres.rows(TOLD)] == ["a", "b"]


@pytest.mark.req("CTL-18")
async def test_what_is_noted_while_others_carry_over_is_not_struck_out_with_it(
    postgres: PostgresAuthority,
) -> None:
    """The striking out waits for the row, and then sees what came into it meanwhile."""
    first = await lead(postgres, A)
    await all_told(postgres)
    history = LeadershipHistory(postgres.held(A), postgres.around.clock)
    note = """UPDATE leases SET unwritten = unwritten || jsonb_build_array(jsonb_build_object(
        'epoch', $1::bigint, 'instance', 'b', 'boot', $2::uuid, 'became_at', clock_timestamp(),
        'reason', 'failover'))"""
    await postgres.rows(note, first + 1, B.boot)
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute(note, first + 2, C.boot)
        history.write_up(LEADER)

        async def waits() -> bool:
            rows = await postgres.rows("SELECT 1 FROM pg_locks WHERE NOT granted")
            return bool(rows)

        await until(waits)
    await other.close()
    await history.written()
    assert (await postgres.rows(UNWRITTEN))[0]["facts"] == 1
    history.write_up(LEADER)
    await history.written()
    assert (await postgres.rows(UNWRITTEN))[0]["facts"] == 0
    epochs = await postgres.rows("SELECT epoch FROM leadership_history ORDER BY epoch")
    assert [row["epoch"] for row in epochs] == [first, first + 1, first + 2]
    await history.close()


@pytest.mark.req("CTL-18", "CTL-1")
async def test_a_takeover_that_waits_for_the_row_notes_what_it_finds_there_afterwards_and_when(
    postgres: PostgresAuthority,
) -> None:
    epoch = await lead(postgres, A)
    await all_told(postgres)
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute(
            "UPDATE leases SET lease_until = clock_timestamp() + interval '1 minute', "
            "unwritten = unwritten || '[{\"seen\": true}]'"
        )
        leases = postgres.leases(A)
        giving = leases.transfer(LEADER, epoch, A, B, ttl_ms=TTL_MS, reason="takeover")
        handed_over = asyncio.create_task(giving)

        async def waits() -> bool:
            return bool(await postgres.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

        await until(waits)
        await postgres.rows("ALTER TABLE leadership_history RENAME TO mislaid")
        last_of_a = await other.fetchval("SELECT clock_timestamp()")
    await other.close()
    assert await handed_over == epoch + 1
    (lease,) = await postgres.rows("SELECT acquired_at FROM leases")
    assert lease["acquired_at"] > last_of_a
    (row,) = await postgres.rows(UNWRITTEN)
    assert row["facts"] == 3
    await postgres.rows("UPDATE leases SET unwritten = unwritten - 0")
    await postgres.rows("ALTER TABLE mislaid RENAME TO leadership_history")
    await all_told(postgres)
    told = [(row["instance"], row["end_reason"]) for row in await postgres.rows(TOLD)]
    assert told == [("a", "takeover"), ("b", None)]
