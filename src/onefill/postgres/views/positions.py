"""Positions and portfolios as people see them: legs, profit realised and not, contributions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from onefill.core.money import ZERO
from onefill.core.position import Leg
from onefill.keeping.legs import leg_row, unrealised_of
from onefill.keeping.paging import cursor_at, page_of, time_cursor
from onefill.ports.rows import PortfolioRow, PositionRow, PositionStory
from onefill.ports.views import Page, PositionFilter, Window
from onefill.postgres.rows import leg_of
from onefill.postgres.views.orders import orders_of_position
from onefill.postgres.views.paging import Where, newest

_POSITIONS = """
SELECT position_id, p.portfolio, instrument, lane, slot, status, is_base_position, opened_at,
       closed_at, lots, units_per_lot, point_value, margin_per_lot, signal_price, entry_price,
       stop, initial_stop, highest_close, atr, last_price, limiter, strike, expiry, exits,
       next_exit_at, p.realised_pnl AS realised,
       risk_amount * 100 / nullif(closed_equity, 0) AS risk_contribution,
       vol_amount * 100 / nullif(closed_equity, 0) AS vol_contribution, reason, p.version
FROM portfolio_positions p LEFT JOIN portfolio_state s ON s.portfolio = p.portfolio
"""
# A fill's price against the one that its order was decided at, or followed, or waited for.
_LEGS = """
WITH traded AS (
    SELECT position_id, leg, side, filled_quantity, filled_value,
           coalesce(decided_price, chase_price, trigger_price) AS price
    FROM order_intents
    WHERE position_id = ANY($1::text[]) AND verb = 'place' AND filled_quantity > 0),
slipped AS (
    SELECT position_id, leg, bool_and(price IS NOT NULL) AS is_known,
           sum((filled_value - price * filled_quantity)
               * CASE side WHEN 'BUY' THEN 1 ELSE -1 END) AS points
    FROM traded GROUP BY position_id, leg)
SELECT l.*, CASE WHEN is_known THEN points * multiplier WHEN is_known IS NULL THEN 0 END AS slippage
FROM position_legs l LEFT JOIN slipped USING (position_id, leg)
WHERE position_id = ANY($1::text[]) ORDER BY position_id, leg
"""
_PORTFOLIO = """
SELECT portfolio, sizing, time_basis, initial_capital, movements, realised_pnl AS realised,
       closed_equity, equity_high, total_risk_amount, total_risk_percent, total_vol_amount,
       total_vol_percent, margin_used, version, updated_at
FROM portfolio_state WHERE portfolio = $1
"""
_BLENDED_SHARE = Decimal("0.5")


async def positions(connection: Any, wanted: PositionFilter, window: Window) -> Page[PositionRow]:
    """One page of positions by opening."""
    where = Where()
    if not wanted.closed:
        where.add("status <> 'closed'")
    where.add("p.portfolio = {}", wanted.portfolio)
    where.add("instrument = {}", wanted.instrument)
    where.add("(opened_at, position_id) < ({}, {})", *time_cursor(window.cursor))
    records = await newest(
        connection, _POSITIONS, where, "opened_at DESC, position_id DESC", window
    )
    rows = await _with_legs(connection, records)
    return page_of(rows, window, lambda row: cursor_at(row.opened_at, row.position_id))


async def positions_by_id(connection: Any, ids: Sequence[str]) -> tuple[PositionRow, ...]:
    """These positions, oldest first."""
    query = f"{_POSITIONS} WHERE position_id = ANY($1::text[]) ORDER BY opened_at, position_id"
    return tuple(await _with_legs(connection, await connection.fetch(query, ids)))


async def position(connection: Any, position_id: str) -> PositionStory | None:
    """One position with its orders."""
    found = await positions_by_id(connection, [position_id])
    if not found:
        return None
    return PositionStory(
        position=found[0], orders=await orders_of_position(connection, position_id)
    )


async def portfolio(connection: Any, name: str) -> PortfolioRow | None:
    """One portfolio with its equity now (PF-5)."""
    record = await connection.fetchrow(_PORTFOLIO, name)
    if record is None:
        return None
    query = f"{_POSITIONS} WHERE p.portfolio = $1 AND status <> 'closed'"
    held = await _with_legs(connection, await connection.fetch(query, name))
    unrealised = sum((row.unrealised for row in held if row.unrealised is not None), ZERO)
    return PortfolioRow(
        **record,
        unrealised=unrealised,
        open_equity=record["closed_equity"] + unrealised,
        blended_equity=record["closed_equity"] + _BLENDED_SHARE * unrealised,
        positions=len(held),
        unpriced=sum(row.unrealised is None for row in held),
    )


async def _with_legs(connection: Any, records: Sequence[Any]) -> list[PositionRow]:
    ids = [record["position_id"] for record in records]
    legs = defaultdict[str, list[tuple[Leg, Decimal | None]]](list)
    for record in await connection.fetch(_LEGS, ids):
        legs[record["position_id"]].append((leg_of(record), record["slippage"]))
    return [_row(record, legs[record["position_id"]]) for record in records]


def _row(record: Any, legs: Sequence[tuple[Leg, Decimal | None]]) -> PositionRow:
    held = [leg for leg, _ in legs]
    return PositionRow(
        **record,
        unrealised=unrealised_of(record["entry_price"], record["last_price"], held),
        legs=tuple(leg_row(leg, slippage) for leg, slippage in legs),
    )
