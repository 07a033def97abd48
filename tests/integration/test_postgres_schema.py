"""Migrations, and the plans of the hot path on tables that are not small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from onefill.postgres import signal_log
from onefill.postgres.migrate import (
    Migration,
    MigrationChanged,
    SchemaTooNew,
    bundled,
    migrate,
    pending,
)
from onefill.postgres.trading import books, claim, decide, settle, worklists
from onefill.postgres.years import make_room
from trading_support import PostgresAuthority, holder

FIRST = Migration("0001_first.pre.sql", "CREATE TABLE first (n integer)")
SECOND = Migration("0002_second.pre.sql", "CREATE TABLE second (n integer)")
BROKEN = Migration("0002_broken.pre.sql", "CREATE TABLE half (n integer); SELECT 1 / 0")

FILL = """
INSERT INTO portfolio_state (portfolio, initial_capital, equity_high) VALUES ('main', 1, 1);
INSERT INTO lanes (lane, portfolio, instrument)
    SELECT 'main/S' || n, 'main', 'S' || n FROM generate_series(1, 2000) n;
INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
        signal_second, received_by, payload, processing_status)
    SELECT sha256(n::text::bytea), 'main/S' || n % 2000, 'direct', 'BUY', 'main', 'S' || n % 2000,
        at, date_trunc('second', at), 'a', '{}',
        CASE WHEN n % 500 = 0 THEN 'received' ELSE 'executed' END
    FROM generate_series(1, 40000) n, LATERAL (
        SELECT ('{2026-01-15, 2041-01-15, 2042-01-15}'::timestamptz[])[1 + n % 3] AS at) times;
INSERT INTO portfolio_positions (position_id, portfolio, instrument, lane, slot, status,
        is_base_position, opened_at, lots, units_per_lot, point_value, margin_per_lot)
    SELECT 'p' || n, 'main', 'S' || n, 'main/S' || n, 'Net',
        CASE WHEN n % 100 = 0 THEN 'closing' WHEN n % 50 = 0 THEN 'open' ELSE 'closed' END,
        false, clock_timestamp(), 0, 1, 1, 0 FROM generate_series(1, 20000) n;
INSERT INTO order_intents (client_order_id, lane, portfolio, instrument, signal_id, position_id,
        source, leg, action, n, verb, broker, account, venue, symbol, exchange, side, quantity,
        order_type, reduce_only, adds_exposure, state, broker_order_id)
    SELECT 'c' || n, 'main/S' || n % 2000, 'main', 'S' || n % 2000, n, 'p' || n % 20000 + 1,
        n::text, 'main', 'trade', 1, 'place', 'binance', 'paper', 'paper', 'S', '', 'BUY', 1,
        'MARKET', false, true,
        CASE n % 400 WHEN 0 THEN 'NEW' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACKED' ELSE 'FILLED' END,
        'b' || n
    FROM generate_series(1, 40000) n;
"""

YEARS = [datetime(year, 1, 15, tzinfo=UTC) for year in (2026, 2041, 2042)]
LANES, ORDERS, SIGNALS = ["main/S5", "main/S6"], ["c5", "c6"], [5, 6]
NEWS = (SIGNALS, ["executed"] * 2, [None] * 2, [None] * 2, "a", 1, ["received"], ["executed"])
HOT: list[tuple[str, str, tuple[object, ...]]] = [
    ("signal_log_fingerprint_key", signal_log._FIND, ([b"x" * 32, b"y" * 32], YEARS[:2])),
    ("signal_log_pkey", signal_log._COUNT, (SIGNALS, [1, 1], ["memory", "memory"])),
    ("signal_log_pkey", signal_log._PROGRESS, (SIGNALS,)),
    ("signal_log_undecided", worklists.LANES_WITH_WORK, (100,)),
    ("portfolio_positions_exits_due", worklists.LANES_WITH_WORK, (100,)),
    ("order_intents_unsent", worklists.CLAIMABLE, (100, 0)),
    ("order_intents_unresolved", worklists.UNRESOLVED, (100, "a", holder("a").boot)),
    ("order_intents_working", worklists.WORKING, (100, None)),
    ("order_intents_broker_order", worklists.KNOWN_ORDERS, ("binance", ["b5", "b6"])),
    ("signal_log_undecided", decide._UNDECIDED, (LANES, 16, ["BUY"], None)),
    ("signal_log_pkey", decide._UNDECIDED, (LANES, 16, ["BUY"], None)),
    ("signal_log_pkey", books._TELL, NEWS),
    ("order_intents_lane_live", decide._LIVE_INTENTS, (LANES,)),
    ("lanes_pkey", decide._LOCK_LANES, (LANES,)),
    ("order_intents_lane_live", settle._INTENTS, (ORDERS, LANES)),
    ("order_intents_signal", settle._INTENTS, (ORDERS, LANES)),
    ("order_intents_lane_live", claim._LOOK, (ORDERS,)),
    ("order_intents_pkey", claim._LOCK_INTENTS, (ORDERS, ORDERS)),
    ("order_intents_signal", claim._DONE_SIGNALS, (SIGNALS,)),
]


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """A fresh database with everything on it."""
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.mark.req("IF-9", "P-8")
async def test_every_hot_query_goes_by_its_index(postgres: PostgresAuthority) -> None:
    """With scans allowed: the planner itself prefers them, not our settings alone; in the plan
    for these arguments, and in the one for any, which is what the sessions ask for."""
    async with postgres.held(holder("a")).transaction() as transaction:
        await make_room(transaction, YEARS)
    for statement in FILL.split(";")[:-1]:
        await postgres.rows(statement)
    await postgres.rows("ANALYZE")
    await postgres.rows("SET enable_seqscan = on")
    missing = []
    for index, sql, arguments in HOT:
        indexes = await every_years(postgres, index)
        for rows in (
            await postgres.rows(f"EXPLAIN {sql}", *arguments),
            await postgres.rows(f"EXPLAIN (GENERIC_PLAN) {sql}", *arguments),
        ):
            plan = "\n".join(str(row["QUERY PLAN"]) for row in rows)
            goes_by = all(name in plan for name in indexes)
            if not goes_by or any(big(line) for line in plan.splitlines()):
                missing.append(f"{index}:\n{plan}")
    assert missing == []


async def every_years(postgres: PostgresAuthority, index: str) -> list[str]:
    """That index of each partition; of a table without any, the index itself."""
    rows = await postgres.rows(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass",
        index,
    )
    return [str(row["name"]) for row in rows] or [index]


def big(line: str) -> bool:
    """Whether a scan goes over a table that grows."""
    growing = ("signal_log", "order_intents", "portfolio_positions", "position_legs", "fills")
    return any(f"Seq Scan on {table}" in line for table in growing)


@pytest.fixture
async def empty(postgres: PostgresAuthority) -> str:
    """A database without any table."""
    await postgres.rows("DROP SCHEMA public CASCADE")
    await postgres.rows("CREATE SCHEMA public")
    return postgres.url


@pytest.mark.req("IF-9")
async def test_two_that_migrate_at_once_do_it_once(empty: str) -> None:
    names = [migration.name for migration in bundled()]
    assert await pending(empty) == names
    done = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(name for each in done for name in each) == names
    assert await pending(empty) == []


@pytest.mark.req("IF-9")
async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(empty: str) -> None:
    await migrate(empty, (FIRST,))
    edited = Migration(FIRST.name, FIRST.sql + " ")
    with pytest.raises(MigrationChanged):
        await migrate(empty, (edited, SECOND))
    assert await pending(empty, (FIRST, SECOND)) == [SECOND.name]


@pytest.mark.req("IF-9")
async def test_a_migration_that_breaks_leaves_nothing_of_itself(empty: str) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await migrate(empty, (FIRST, BROKEN))
    assert await migrate(empty, (FIRST, SECOND)) == [SECOND.name]


@pytest.mark.req("IF-9")
async def test_an_older_program_refuses_a_newer_schema_only_where_it_must(empty: str) -> None:
    removes = Migration("0003_removes.post.sql", "DROP TABLE first")
    await migrate(empty, (FIRST, SECOND))
    assert await migrate(empty, (FIRST,)) == []
    await migrate(empty, (FIRST, SECOND, removes))
    with pytest.raises(SchemaTooNew):
        await pending(empty, (FIRST,))
