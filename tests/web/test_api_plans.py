"""Lists stay quick in a large database: their plans use indexes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from onefill.core.intent import IntentState
from onefill.core.signal import SignalStatus
from onefill.ports.views import OrderFilter, PositionFilter, SignalFilter, Window
from onefill.postgres.views.snapshot import PostgresViews
from web.rows import add_orders, add_positions, add_signals

ROWS = 20_000
EARLY = datetime(2026, 1, 5, 9, 0, 5, tzinfo=UTC)
DETAILS = """
INSERT INTO signal_events SELECT id, received_at, 'executed', NULL, NULL, 'prod', 7 FROM signal_log;
INSERT INTO order_attempts
    (client_order_id, attempt, instance, boot, epoch, claimed_at, signed_at, send_by, request_hash)
SELECT client_order_id, 1, 'prod', gen_random_uuid(), 7, now(), now(), now(), '' FROM order_intents;
INSERT INTO fills (client_order_id, cumulative_quantity, broker, account, symbol, side, quantity,
                   value, price)
SELECT client_order_id, 1, broker, account, symbol, side, 1, 1, 1 FROM order_intents;
INSERT INTO position_legs (position_id, leg, broker, account, symbol, exchange, side, quantity,
                           multiplier)
SELECT position_id, 'fut', 'openalgo', 'paper', 'X', 'MCX', 'BUY', 1, 1 FROM portfolio_positions;
"""
LARGE = (
    "signal_log",
    "order_intents",
    "order_attempts",
    "fills",
    "portfolio_positions",
    "signal_events",
    "position_legs",
)


TOLERATED = ROWS // 10
"""Rows that a query may look at and throw away: a few blocks' worth, never a table's."""


async def _ask_everything(views: PostgresViews) -> None:
    window = Window(limit=10)
    newest = (await views.signals(SignalFilter(), window)).items[0].received_at
    for signals in (
        SignalFilter(status=SignalStatus.FAILED),
        SignalFilter(instrument="RARE"),
        SignalFilter(since=newest),
        SignalFilter(until=EARLY),
    ):
        await views.signals(signals, window)
    for state in (IntentState.QUARANTINED, IntentState.IN_DOUBT, IntentState.NEW):
        await views.orders(OrderFilter(state=state), window)
    for orders in (OrderFilter(), OrderFilter(lane="main/RARE")):
        page = await views.orders(orders, window)
        await views.orders(orders, Window(limit=10, cursor=page.next_cursor))
    for closed in (False, True):
        await views.positions(PositionFilter(closed=closed), window)
    await views.signal(1)
    await views.order("RARE1")
    await views.position("RARE1")
    await views.portfolio("main")
    await views.standing()


async def _fill(pool: Any) -> None:
    """The rare rows are the oldest: whoever walks the list to find them walks all of it."""
    await add_signals(pool, "RARE", 20, status="failed")
    await add_signals(pool, "COMMON", ROWS)
    await add_orders(pool, "RARE", 20, state="QUARANTINED")
    await pool.execute("UPDATE order_intents SET created_at = created_at - interval '1 day'")
    await add_orders(pool, "COMMON", ROWS)
    await add_positions(pool, "RARE", 20)
    await add_positions(pool, "COMMON", ROWS)
    await pool.execute(DETAILS)
    await pool.execute("VACUUM ANALYZE")


@pytest.mark.req("IF-9")
async def test_no_list_reads_a_whole_large_table(pool: Any, database_url: str) -> None:
    await _fill(pool)
    asked: list[tuple[str, Any]] = []

    async def watch(connection: Any) -> None:
        connection.add_query_logger(lambda seen: asked.append((seen.query, seen.args)))

    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, init=watch) as watched:
        await _ask_everything(PostgresViews(watched))
    explained = 0
    for query, arguments in asked:
        if any(name in query for name in LARGE):
            lines = await pool.fetch(f"EXPLAIN (ANALYZE, TIMING off) {query}", *arguments)
            plan = "\n".join(line[0] for line in lines)
            explained += 1
            assert not any(f"Seq Scan on {name}" in plan for name in LARGE), f"{query}\n{plan}"
            removed = [int(count) for count in re.findall(r"Removed by .*: (\d+)", plan)]
            assert max(removed, default=0) <= TOLERATED, f"{query}\n{plan}"
    assert explained >= 20
