"""Signals as people see them: the log, and one signal's whole way."""

from __future__ import annotations

from typing import Any

from onefill.core.signal import SignalStatus
from onefill.keeping.paging import id_cursor, page_of, read_json
from onefill.ports.rows import OrderStory, PositionRow, SignalRow, SignalStory, Step
from onefill.ports.views import Page, SignalFilter, Window
from onefill.postgres.views.orders import orders_of_signal
from onefill.postgres.views.paging import Where, newest
from onefill.postgres.views.positions import positions_by_id

_COLUMNS = """
       id, encode(fingerprint, 'hex') AS fingerprint, lane, engine, kind, portfolio, instrument,
       signal_time, received_at, received_by, processing_status AS status, reason,
       processed_by_instance AS processed_by, decided_at, ended_at, duplicates, last_duplicate_at,
       last_duplicate_layer
"""
_SIGNALS = f"SELECT {_COLUMNS} FROM signal_log"
_SIGNAL = f"SELECT {_COLUMNS}, payload FROM signal_log WHERE id = $1"
_STEPS = """
SELECT at, status, reason, numbers, instance, epoch
FROM signal_events WHERE signal_id = $1 ORDER BY at
"""


async def signals(connection: Any, wanted: SignalFilter, window: Window) -> Page[SignalRow]:
    """One page of signals by arrival."""
    where = Where()
    where.add("processing_status = {}", wanted.status)
    where.add("kind = {}", wanted.kind)
    where.add("portfolio = {}", wanted.portfolio)
    where.add("instrument = {}", wanted.instrument)
    where.add("received_at >= {}", wanted.since)
    where.add("received_at < {}", wanted.until)
    where.add("id < {}", id_cursor(window.cursor))
    records = await newest(connection, _SIGNALS, where, "id DESC", window)
    rows = [SignalRow(**record) for record in records]
    return page_of(rows, window, lambda row: str(row.id))


async def signal(connection: Any, signal_id: int) -> SignalStory | None:
    """One signal with its payload, steps, orders and positions."""
    record = await connection.fetchrow(_SIGNAL, signal_id)
    if record is None:
        return None
    columns = dict(record)
    payload = columns.pop("payload")
    row = SignalRow(**columns)
    steps = tuple(_step(one) for one in await connection.fetch(_STEPS, signal_id))
    orders = await orders_of_signal(connection, signal_id)
    touched = {story.order.position_id for story in orders} - {None}
    positions = await positions_by_id(connection, sorted(filter(None, touched)))
    return SignalStory(
        signal=row,
        payload=read_json(payload),
        timeline=(_received(row), *steps),
        limiter=_limiter(steps, orders, positions),
        orders=orders,
        positions=positions,
    )


def _received(row: SignalRow) -> Step:
    """The first step: it has no row of its own, as the signal's row says it all."""
    return Step(
        at=row.received_at,
        status=SignalStatus.RECEIVED.value,
        reason=None,
        numbers=None,
        instance=row.received_by,
        epoch=None,
    )


def _step(record: Any) -> Step:
    return Step(**{**record, "numbers": read_json(record["numbers"])})


def _limiter(
    steps: tuple[Step, ...], orders: tuple[OrderStory, ...], positions: tuple[PositionRow, ...]
) -> str | None:
    """What held the size down: as the decision's numbers say, else as the position opened here."""
    for step in steps:
        if step.numbers is not None and (limiter := step.numbers.get("limiter")) is not None:
            return str(limiter)
    opened = {story.order.position_id for story in orders if story.order.adds_exposure}
    return next((row.limiter for row in positions if row.position_id in opened), None)
