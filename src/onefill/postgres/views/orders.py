"""Orders as people see them: the intent, every attempt, every fill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from onefill.keeping.paging import cursor_at, page_of, read_json, time_cursor
from onefill.ports.rows import AttemptRow, FillRow, OrderRow, OrderStory
from onefill.ports.views import OrderFilter, Page, Window
from onefill.postgres.views.paging import Where, newest

_ORDERS = """
SELECT client_order_id, broker_order_id, lane, portfolio, instrument, signal_id, position_id,
       source, leg, action, n, verb, broker, account, venue, symbol, exchange, side, quantity,
       order_type, price, trigger_price, reduce_only, adds_exposure, after, target, valid_until,
       state, attempt, filled_quantity,
       filled_value / nullif(filled_quantity, 0) AS average_price, reason,
       decided_price, created_at, updated_at
FROM order_intents
"""
_ATTEMPTS = """
SELECT client_order_id, attempt, instance, boot::text, epoch, claimed_at, signed_at, expires_at,
       send_by, encode(request_hash, 'hex') AS request_hash, outcome, outcome_at, detail,
       broker_order_id
FROM order_attempts WHERE client_order_id = ANY($1::text[]) ORDER BY client_order_id, attempt
"""
_FILLS = """
SELECT client_order_id, side, symbol, quantity, cumulative_quantity, price, value, trade_ids,
       booked_at
FROM fills WHERE client_order_id = ANY($1::text[]) ORDER BY client_order_id, cumulative_quantity
"""


async def orders(connection: Any, wanted: OrderFilter, window: Window) -> Page[OrderRow]:
    """One page of order intents by creation."""
    where = Where()
    where.add("state = {}", wanted.state)
    where.add("lane = {}", wanted.lane)
    where.add("symbol = {}", wanted.symbol)
    where.add("(created_at, client_order_id) < ({}, {})", *time_cursor(window.cursor))
    records = await newest(
        connection, _ORDERS, where, "created_at DESC, client_order_id DESC", window
    )
    rows = [OrderRow(**record) for record in records]
    return page_of(rows, window, lambda row: cursor_at(row.created_at, row.client_order_id))


async def order(connection: Any, client_order_id: str) -> OrderStory | None:
    """One order intent."""
    stories = await _stories(connection, "client_order_id", client_order_id)
    return stories[0] if stories else None


async def orders_of_signal(connection: Any, signal_id: int) -> tuple[OrderStory, ...]:
    """The orders that a signal caused, oldest first."""
    return await _stories(connection, "signal_id", signal_id)


async def orders_of_position(connection: Any, position_id: str) -> tuple[OrderStory, ...]:
    """The orders that opened or closed a position, oldest first."""
    return await _stories(connection, "position_id", position_id)


async def _stories(connection: Any, column: str, value: str | int) -> tuple[OrderStory, ...]:
    query = f"{_ORDERS} WHERE {column} = $1 ORDER BY created_at, client_order_id"
    rows = [OrderRow(**record) for record in await connection.fetch(query, value)]
    ids = [row.client_order_id for row in rows]
    attempts = _by_order(await connection.fetch(_ATTEMPTS, ids))
    fills = _by_order(await connection.fetch(_FILLS, ids))
    return tuple(
        OrderStory(
            order=row,
            attempts=tuple(AttemptRow(**one) for one in attempts[row.client_order_id]),
            fills=tuple(_fill(one) for one in fills[row.client_order_id]),
        )
        for row in rows
    )


def _by_order(records: Sequence[Any]) -> defaultdict[str, list[dict[str, Any]]]:
    grouped = defaultdict[str, list[dict[str, Any]]](list)
    for record in records:
        columns = dict(record)
        grouped[columns.pop("client_order_id")].append(columns)
    return grouped


def _fill(columns: dict[str, Any]) -> FillRow:
    return FillRow(**{**columns, "trade_ids": tuple(read_json(columns["trade_ids"]))})
