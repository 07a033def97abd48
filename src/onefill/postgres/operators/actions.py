"""What operators do to money and positions, inside a transaction of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from onefill.core.intake.parse import read
from onefill.core.intake.signal_time import Zones
from onefill.core.orders.operator_exit import exit_payload
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import Signal, fingerprint, second_of
from onefill.ports.figures import CapitalMoved, CapitalRefusal, Closing, ClosingRefusal
from onefill.postgres.connection import Transaction
from onefill.postgres.rows import position_of
from onefill.postgres.years import make_room

_STATE = "SELECT closed_equity, equity_high FROM portfolio_state WHERE portfolio = $1 FOR UPDATE"
_BOOKED = "SELECT amount FROM capital_ledger WHERE portfolio = $1 AND reference = $2"
# A deposit is no profit and a withdrawal no loss: the high-water mark moves with both.
_MOVE = """
UPDATE portfolio_state SET movements = movements + $2, equity_high = equity_high + $2,
       version = version + 1, updated_at = clock_timestamp()
WHERE portfolio = $1 RETURNING closed_equity, equity_high"""
_ENTER = """
INSERT INTO capital_ledger (portfolio, amount, note, actor, reference)
VALUES ($1, $2, $3, $4, $5)"""

_POSITION = """
SELECT p.*, CASE s.time_basis WHEN 'signal' THEN coalesce(l.last_decided, clock_timestamp())
            ELSE clock_timestamp() END AS moment
FROM portfolio_positions p JOIN lanes l ON l.lane = p.lane
JOIN portfolio_state s ON s.portfolio = p.portfolio WHERE position_id = $1"""
_LOG = """
WITH fresh AS (
    INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                            signal_second, payload, received_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (fingerprint, signal_second) DO NOTHING RETURNING id)
SELECT id FROM fresh UNION ALL
SELECT id FROM signal_log WHERE fingerprint = $1 AND signal_second = $8 LIMIT 1"""

_NO_ZONES = Zones.named({})
"""The payload's time has its zone."""


async def move_capital(
    connection: Any,
    portfolio: str,
    amount: Decimal,
    *,
    note: str,
    reference: str | None,
    actor: str,
) -> CapitalMoved | CapitalRefusal:
    """Deposit (positive) or withdraw; what has that reference already is not booked again."""
    state = await connection.fetchrow(_STATE, portfolio)
    if state is None:
        return CapitalRefusal.NO_PORTFOLIO
    booked = await connection.fetchval(_BOOKED, portfolio, reference)
    if booked is not None:
        return _moved(portfolio, booked, state)
    if state["closed_equity"] + amount < 0:
        return CapitalRefusal.MORE_THAN_THERE_IS
    state = await connection.fetchrow(_MOVE, portfolio, amount)
    await connection.execute(_ENTER, portfolio, amount, note, actor, reference)
    return _moved(portfolio, amount, state)


async def close_position(
    connection: Any, position_id: str, note: str, actor: str
) -> Closing | ClosingRefusal:
    """Log the exit signal that closes this position; whoever leads decides it next."""
    row = await connection.fetchrow(_POSITION, position_id)
    if row is None:
        return ClosingRefusal.NO_POSITION
    position: Position = position_of(row, ())
    if position.status is PositionStatus.CLOSED:
        return ClosingRefusal.CLOSED
    payload = exit_payload(position, row["moment"], note)
    signal = read(payload, zones=_NO_ZONES)
    # Beforehand: a refused statement would end this transaction.
    await make_room(Transaction(connection), [second_of(signal.time)])
    signal_id = await connection.fetchval(_LOG, *_columns(signal, payload), actor)
    return Closing(position_id=position_id, signal_id=signal_id)


def _moved(portfolio: str, amount: Decimal, state: Any) -> CapitalMoved:
    return CapitalMoved(
        portfolio=portfolio,
        amount=amount,
        closed_equity=state["closed_equity"],
        equity_high=state["equity_high"],
    )


def _columns(signal: Signal, payload: str) -> tuple[object, ...]:
    return (
        fingerprint(signal),
        signal.lane,
        signal.engine.value,
        signal.kind.value,
        signal.portfolio,
        signal.instrument,
        signal.time,
        second_of(signal.time),
        payload,
    )
