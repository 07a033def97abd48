"""Stage one on the simulated database: as postgres/trading/decide.py, statement by statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from onefill.core.book import Account, Situation
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.money import ZERO
from onefill.core.position import Position
from onefill.core.signal import ENTRIES, Engine, SignalStatus
from onefill.keeping.planning import Plan, Policy, plan_lane
from onefill.postgres.connection import Row
from onefill.sim.connection import Transaction, plain
from onefill.sim.database import INTENT, LANE, PORTFOLIO, Session
from onefill.sim.tables import INITIAL_CAPITAL, LaneRow, SignalRow, Tables

SIGNALS_A_LANE = 16


class ClaimedMeanwhile(StoreUnavailable):
    """An intent that was to be withdrawn is being sent already; decide again."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """What was read: a situation and the next signals of each lane, and all positions seen."""

    situations: dict[Lane, Situation]
    rows: dict[Lane, list[Row]]
    positions: list[Position]


def introduce(session: Session, lanes: Iterable[Lane]) -> None:
    """Make the rows of lanes that are new."""
    tables = session.database.tables
    for lane in lanes:
        portfolio, _, _ = lane.partition("/")
        tables.lanes.setdefault(lane, LaneRow(lane, portfolio))


async def decide_group(
    transaction: Transaction, lanes: Sequence[Lane], policy: Policy, *, with_locks: bool
) -> Plan:
    """Lock, read, decide; what is to be written is left in the transaction."""
    idle = await transaction.do(plain(lambda s: _lock_idle(s, lanes, with_locks=with_locks)))
    if not idle:
        return Plan.of(())
    portfolios = [(PORTFOLIO, lane.partition("/")[0]) for lane in idle]
    desk = await transaction.lock(portfolios, lambda session: _read(session, idle))
    plan = Plan.of(desk.positions)
    for lane, situation in desk.situations.items():
        others = plan.of_portfolio(situation.account.portfolio)
        seen = tuple(others) if _is_whole(desk.rows[lane]) else _of_lane(others, lane)
        plan_lane(
            plan, replace(situation, positions=seen), desk.rows[lane], policy, limit=SIGNALS_A_LANE
        )
    await _withdraw(transaction, plan)
    changes = transaction.changes
    changes.new_intents += plan.intents.values()
    changes.positions += [change.after for change in plan.position_changes]
    changes.signals += [(news.signal_id, news.status, news.reason) for news in plan.news]
    changes.marks += plan.lanes
    return plan


def _lock_idle(session: Session, lanes: Sequence[Lane], *, with_locks: bool) -> list[Lane]:
    known = [lane for lane in lanes if lane in session.database.tables.lanes]
    if not with_locks:
        return known
    return [Lane(name) for _, name in session.lock_idle((LANE, lane) for lane in known)]


def _read(session: Session, lanes: Sequence[Lane]) -> _Desk:
    tables = session.database.tables
    situations: dict[Lane, Situation] = {}
    for lane in lanes:
        row = tables.lanes[lane]
        situations[lane] = Situation(
            now=session.database.now(),
            lane=lane,
            account=_account(tables, row.portfolio),
            intents=tuple(intent for intent in tables.live_intents() if intent.lane == lane),
            blocked=row.blocked,
            last_decided=row.last_decided,
            marks=row.marks,
        )
    return _Desk(
        situations,
        {lane: _undecided(tables, lane) for lane in lanes},
        [position for position in tables.positions.values() if position.is_live],
    )


def _account(tables: Tables, portfolio: str) -> Account:
    mine = (p.realised for p in tables.positions.values() if p.portfolio == portfolio)
    capital = Decimal(INITIAL_CAPITAL)
    realised = sum(mine, ZERO)
    return Account(
        portfolio=portfolio,
        initial_capital=capital,
        realised=realised,
        high_water=max(capital, capital + realised),
    )


def _undecided(tables: Tables, lane: Lane) -> list[Row]:
    waiting = [row for row in tables.signals.values() if _waits(row, lane)]
    waiting.sort(key=lambda row: (row.new.signal_time, row.id))
    first = waiting[:SIGNALS_A_LANE]
    overtaking = [row for row in waiting[SIGNALS_A_LANE:] if row.new.kind not in ENTRIES]
    return [_as_row(row) for row in (*first, *overtaking[:SIGNALS_A_LANE])]


def _waits(row: SignalRow, lane: Lane) -> bool:
    return row.new.lane == lane and row.status is SignalStatus.RECEIVED


def _as_row(row: SignalRow) -> Row:
    return {
        "id": row.id,
        "lane": row.new.lane,
        "engine": row.new.engine,
        "kind": row.new.kind,
        "fingerprint": row.new.fingerprint,
        "payload": row.new.payload,
        "received_at": row.received_at,
        "signal_time": row.new.signal_time,
    }


def _is_whole(rows: Sequence[Row]) -> bool:
    """Whether these signals are judged by their whole portfolio."""
    return any(row["engine"] == Engine.PORTFOLIO for row in rows)


def _of_lane(positions: Iterable[Position], lane: Lane) -> tuple[Position, ...]:
    return tuple(position for position in positions if position.lane == lane)


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
    keys = [(INTENT, str(name)) for name in older]
    still_new = await transaction.lock(keys, lambda session: _still_new(session, older))
    if len(still_new) < len(older):
        raise ClaimedMeanwhile(intents=", ".join(sorted(older)))
    transaction.changes.intents += [
        replace(intent, state=IntentState.EXPIRED, reason=older[intent.client_order_id])
        for intent in still_new
    ]


def _still_new(session: Session, names: Iterable[ClientOrderId]) -> list[OrderIntent]:
    intents = (session.database.tables.intents[name] for name in names)
    return [intent for intent in intents if intent.state is IntentState.NEW]
