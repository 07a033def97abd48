"""Lists stay quick in a large database: their plans use indexes."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from onefill.core.intent import IntentState
from onefill.core.signal import SignalStatus
from onefill.ports.views import OrderFilter, PositionFilter, SignalFilter, Window
from onefill.postgres.views import PostgresViews
from web.rows import add_orders, add_positions, add_signals

ROWS = 20_000
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


async def _ask_everything(views: PostgresViews, window: Window) -> None:
    rare = SignalFilter(status=SignalStatus.FAILED)
    since = (await views.signals(SignalFilter(), window)).items[0].received_at
    for signals in (
        SignalFilter(),
        rare,
        SignalFilter(instrument="RARE"),
        SignalFilter(since=since),
    ):
        await views.signals(signals, window)
    for state in (IntentState.QUARANTINED, IntentState.IN_DOUBT, IntentState.NEW):
        await views.orders(OrderFilter(state=state), window)
    for orders in (OrderFilter(), OrderFilter(lane="main/RARE")):
        page = await views.orders(orders, window)
        await views.orders(orders, Window(cursor=page.next_cursor))
    for closed in (False, True):
        await views.positions(PositionFilter(closed=closed), window)
    await views.signal(1)
    await views.order("RARE1")
    await views.position("RARE1")
    await views.portfolio("main")
    await views.standing()


@pytest.mark.req("IF-9")
async def test_no_list_reads_a_whole_large_table(pool: Any, database_url: str) -> None:
    await add_signals(pool, "COMMON", ROWS)
    await add_signals(pool, "RARE", 20, status="failed")
    await add_orders(pool, "COMMON", ROWS)
    await add_orders(pool, "RARE", 20, state="QUARANTINED")
    await add_positions(pool, "COMMON", ROWS)
    await add_positions(pool, "RARE", 20)
    await pool.execute(DETAILS)
    await pool.execute("VACUUM ANALYZE")
    asked: list[tuple[str, Any]] = []

    async def watch(connection: Any) -> None:
        connection.add_query_logger(lambda seen: asked.append((seen.query, seen.args)))

    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, init=watch) as watched:
        await _ask_everything(PostgresViews(watched), Window(limit=10))
    plans = [
        (query, "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {query}", *arguments)))
        for query, arguments in asked
        if any(name in query for name in LARGE)
    ]
    assert len(plans) >= 20
    whole = [(q, plan) for q, plan in plans if any(f"Seq Scan on {name}" in plan for name in LARGE)]
    assert not whole, "\n\n".join(f"{query}\n{plan}" for query, plan in whole)
