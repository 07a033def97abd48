"""Stage one of the trade path: undecided signals become states and intents, in one commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from onefill.core.book import Account, ChaseStep, Situation
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.position import Position
from onefill.core.signal import ENTRIES, Engine
from onefill.keeping.planning import Plan, Policy, RollsOver, plan_lane
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Row, Transaction
from onefill.postgres.listings import SERIES_OF_LANE, series_of
from onefill.postgres.marks import marks_of, text_of
from onefill.postgres.rows import INTENT, INTENT_READ, intent_of
from onefill.postgres.settings import EXITS_PAUSED, TRADING_PAUSED, is_on
from onefill.postgres.trading.books import (
    Teller,
    accounts,
    live_positions,
    tell_signals,
    write_positions,
)
from onefill.postgres.trading.losses import doubt_old, is_old

_LOCK_LANES = f"""
SELECT lane, portfolio, blocked, last_decided, marks, clock_timestamp() AS now,
       {SERIES_OF_LANE} AS series,
       {is_on(TRADING_PAUSED)} AS paused, {is_on(EXITS_PAUSED)} AS exits_paused,
       EXISTS (SELECT FROM authority_losses) AS was_lost,
       (SELECT min(noticed_at) FROM authority_losses WHERE ended_at IS NULL) AS safe_since
FROM lanes WHERE lane = ANY($1) ORDER BY lane FOR NO KEY UPDATE SKIP LOCKED"""

# The next ones of each lane; and behind them, should they have to wait, what may overtake them.
_UNDECIDED = f"""
SELECT s.id, s.lane, s.engine, s.kind, s.fingerprint, s.payload, s.received_at, s.signal_time
FROM unnest($1::text[]) AS asked (lane) CROSS JOIN LATERAL (
    (SELECT id, signal_second FROM signal_log
     WHERE lane = asked.lane AND processing_status = 'received'
     ORDER BY signal_time, id LIMIT $2)
    UNION
    (SELECT id, signal_second FROM signal_log
     WHERE lane = asked.lane AND processing_status = 'received' AND kind <> ALL ($3)
     ORDER BY signal_time, id LIMIT $2)
) AS next JOIN signal_log s USING (id, signal_second)
WHERE $4::timestamptz IS NULL OR {is_old("$4")} ORDER BY s.signal_time, s.id"""

_LIVE_INTENTS = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE lane = ANY($1)
  AND state IN ('NEW', 'SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED', 'QUARANTINED')
ORDER BY created_at, client_order_id"""

_WITHDRAW = """
WITH locked AS (
    SELECT client_order_id FROM order_intents
    WHERE client_order_id = ANY($1) AND state = 'NEW' ORDER BY 1 FOR UPDATE)
UPDATE order_intents i SET state = 'EXPIRED', reason = w.reason, updated_at = clock_timestamp()
FROM unnest($1::text[], $2::text[]) AS w (client_order_id, reason)
    JOIN locked USING (client_order_id)
WHERE i.client_order_id = w.client_order_id AND i.state = 'NEW' RETURNING 1"""

_INSERT_INTENTS = f"""
INSERT INTO order_intents ({INTENT.names}, venue)
SELECT row.*, CASE WHEN row.broker || '/' || row.account = ANY(${len(INTENT) + 1})
                   THEN 'live' ELSE 'paper' END
FROM {INTENT.unnest()}"""

_STEP: Columns[ChaseStep] = Columns(
    (
        Column("client_order_id", "text", lambda step: step.client_order_id),
        Column("step", "integer", lambda step: step.step),
    )
)
_STEP_ON = f"""
WITH asked AS (SELECT * FROM {_STEP.unnest()}),
locked AS (
    SELECT i.client_order_id FROM order_intents i JOIN asked USING (client_order_id)
    ORDER BY 1 FOR NO KEY UPDATE OF i)
UPDATE order_intents i SET chase_step = asked.step
FROM asked JOIN locked USING (client_order_id) WHERE i.client_order_id = asked.client_order_id"""

_LaneMark = tuple[Lane, datetime | None, str]
_MARKS: Columns[_LaneMark] = Columns(
    (
        Column("lane", "text", lambda row: row[0]),
        Column("last_decided", "timestamptz", lambda row: row[1]),
        Column("marks", "text", lambda row: row[2]),
    )
)
_MARK_LANES = f"""
UPDATE lanes l SET last_decided = row.last_decided, marks = row.marks
FROM {_MARKS.unnest()} WHERE l.lane = row.lane"""


_InLane = TypeVar("_InLane", OrderIntent, Position)


class ClaimedMeanwhile(StoreUnavailable):
    """An intent that was to be withdrawn is being sent already; decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a group of decisions needs beside its rules. live: `broker/account` of real money.

    serializable: whether its transaction is; only then steps of rollovers are written.
    """

    teller: Teller
    live: Sequence[str]
    signals_a_lane: int
    serializable: bool = False


async def decide_group(
    transaction: Transaction, lanes: Sequence[Lane], policy: Policy, desk: Desk
) -> tuple[Plan, set[Lane]]:
    """Lock, read, decide and write; the plan as written, and the lanes that were idle.

    Raises ClaimedMeanwhile, RollsOver, and RowsRefused when the database refuses what was decided.
    """
    locked = {row["lane"]: row for row in await transaction.fetch(_LOCK_LANES, sorted(lanes))}
    if not locked:
        return Plan.of(()), set()
    one = next(iter(locked.values()))
    signals = await transaction.fetch(
        _UNDECIDED, sorted(locked), desk.signals_a_lane, list(ENTRIES), one["safe_since"]
    )
    if one["safe_since"] is not None:
        policy = replace(policy, exits=lambda situation: None)
    plan = await _plan(transaction, locked, signals, policy, desk)
    rolls = RollsOver(plan.position_changes)
    if rolls.lanes and not desk.serializable:
        raise rolls
    await _write(transaction, plan, desk)
    if one["was_lost"]:
        plan.put_in_doubt(await doubt_old(transaction, list(plan.intents)))
    return plan, {Lane(lane) for lane in locked}


async def _plan(
    transaction: Transaction,
    locked: dict[str, Row],
    signals: Sequence[Row],
    policy: Policy,
    desk: Desk,
) -> Plan:
    lanes = sorted(locked)
    whole = {locked[s["lane"]]["portfolio"] for s in signals if s["engine"] == Engine.PORTFOLIO}
    money = await accounts(transaction, whole, locked=True)
    rest = {row["portfolio"] for row in locked.values()} - whole
    money.update(await accounts(transaction, rest, locked=False))
    plan = Plan.of(await live_positions(transaction, lanes, sorted(whole)))
    intents = _by_lane(map(intent_of, await transaction.fetch(_LIVE_INTENTS, lanes)))
    positions = _by_lane(plan.positions.values())
    asked: dict[str, list[Row]] = {lane: [] for lane in lanes}
    for signal in signals:
        asked[signal["lane"]].append(signal)
    for lane in lanes:
        row = locked[lane]
        is_whole = row["portfolio"] in whole
        seen = plan.of_portfolio(row["portfolio"]) if is_whole else positions.get(lane, ())
        mine = intents.get(lane, ())
        situation = _situation(row, money[row["portfolio"]], tuple(seen), tuple(mine))
        plan_lane(plan, situation, asked[lane], policy, limit=desk.signals_a_lane)
    return plan


def _by_lane(items: Iterable[_InLane]) -> dict[str, list[_InLane]]:
    grouped: dict[str, list[_InLane]] = {}
    for item in items:
        grouped.setdefault(item.lane, []).append(item)
    return grouped


def _situation(
    row: Row,
    account: Account,
    positions: tuple[Position, ...],
    intents: tuple[OrderIntent, ...],
) -> Situation:
    return Situation(
        now=row["now"],
        lane=Lane(row["lane"]),
        account=account,
        positions=positions,
        intents=intents,
        blocked=row["blocked"],
        paused=row["paused"],
        exits_paused=row["exits_paused"],
        last_decided=row["last_decided"],
        marks=marks_of(row["marks"]),
        listed=series_of(row["series"]),
    )


async def _write(transaction: Transaction, plan: Plan, desk: Desk) -> None:
    await _withdraw(transaction, plan)
    if plan.chased:
        await transaction.fetch(_STEP_ON, *_STEP.arrays(plan.chased))
    await write_positions(transaction, plan.position_changes)
    await tell_signals(transaction, plan.news, desk.teller)
    if plan.intents:
        # Never ON CONFLICT DO NOTHING: the same action decided twice is a broken promise.
        arrays = INTENT.arrays(list(plan.intents.values()))
        await transaction.fetch(_INSERT_INTENTS, *arrays, desk.live)
    if plan.lanes:
        marks = [(lane, last, text_of(marks)) for lane, last, marks in plan.lanes]
        await transaction.fetch(_MARK_LANES, *_MARKS.arrays(marks))


async def _withdraw(transaction: Transaction, plan: Plan) -> None:
    """Intents of this very group are written as withdrawn; of older ones, only what is NEW."""
    older: dict[ClientOrderId, str] = {}
    for name, reason in plan.withdrawn.items():
        fresh = plan.intents.get(name)
        if fresh is None:
            older[name] = reason
        else:
            plan.intents[name] = replace(fresh, state=IntentState.EXPIRED, reason=reason)
    if not older:
        return
    rows = await transaction.fetch(_WITHDRAW, list(older), list(older.values()))
    if len(rows) < len(older):
        raise ClaimedMeanwhile(intents=", ".join(sorted(older)))
