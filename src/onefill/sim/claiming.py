"""Stage two on the simulated database: as postgres/trading/claim.py, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onefill.core.ids import ClientOrderId, Epoch, PositionId
from onefill.core.intent import ACCOMPLISHED, FINAL, IntentState, OrderIntent
from onefill.core.money import ZERO
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalStatus
from onefill.ports.lease import Holder
from onefill.ports.trading import Claim
from onefill.sim.connection import Transaction, plain
from onefill.sim.database import INTENT, LANE, Session
from onefill.sim.tables import Attempt, Tables

CLAIMED, TAKEN, EXPIRED, WAITING = "claimed", "taken", "expired", "waiting"

Verdicts = dict[ClientOrderId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who claims. compares, minds_doubt: False plants a bug."""

    me: Holder
    epoch: Epoch | None
    compares: bool
    minds_doubt: bool


async def claim_group(
    transaction: Transaction, claims: Sequence[Claim], claimant: Claimant
) -> Mapping[ClientOrderId, str]:
    """The verdict on each claim; those `claimed` are SENDING when the transaction commits."""
    verdicts = await transaction.do(
        plain(lambda s: {c.client_order_id: _verdict(s, c, claimant) for c in claims})
    )
    late = [name for name, verdict in verdicts.items() if verdict == EXPIRED]
    if late:
        ended = await _expire(transaction, late, list(verdicts))
        verdicts.update((name, TAKEN) for name in late if name not in ended)
    wanted = [claim for claim in claims if verdicts[claim.client_order_id] == CLAIMED]
    if wanted:
        keys = [(INTENT, str(claim.client_order_id)) for claim in wanted]
        won = await transaction.lock(keys, lambda s: _take(s, transaction, wanted, claimant))
        lost = {claim.client_order_id for claim in wanted} - won
        verdicts.update((name, TAKEN) for name in lost)
    return verdicts


def _verdict(session: Session, claim: Claim, claimant: Claimant) -> str:
    tables, now = session.database.tables, session.database.now()
    intent = tables.intents.get(claim.client_order_id)
    if intent is None or (claimant.compares and not _is_due(intent, claim)):
        return TAKEN
    if intent.valid_until is not None and intent.valid_until < now:
        return WAITING if claim.resend else EXPIRED
    before = tables.intents[intent.after] if intent.after is not None else None
    if before is not None and before.state not in ACCOMPLISHED:
        return WAITING
    if intent.adds_exposure and tables.lanes[intent.lane].blocked is not None:
        return WAITING
    if intent.adds_exposure and claimant.minds_doubt and not claim.resend:
        return WAITING if _is_doubtful(tables, intent, now) else CLAIMED
    return CLAIMED


def _is_doubtful(tables: Tables, intent: OrderIntent, now: datetime) -> bool:
    """Whether new exposure must wait here for another action's order in doubt (ORD-8)."""
    others = (i for i in tables.live_intents() if i.lane == intent.lane)
    return any(other.source != intent.source and other.is_unresolved(now) for other in others)


def _is_due(intent: OrderIntent, claim: Claim) -> bool:
    first = {IntentState.NEW}
    again = {IntentState.SENDING, IntentState.IN_DOUBT}
    states = again if claim.resend else first
    return intent.state in states and intent.attempt == claim.attempt - 1


def _take(
    session: Session, transaction: Transaction, claims: Sequence[Claim], claimant: Claimant
) -> set[ClientOrderId]:
    database, changes = session.database, transaction.changes
    won: set[ClientOrderId] = set()
    for claim in claims:
        name = claim.client_order_id
        intent = database.tables.intents[name]
        if claimant.compares and not _is_due(intent, claim):
            continue
        won.add(name)
        send_by = database.now() + timedelta(milliseconds=claim.send_within_ms)
        changes.intents.append(
            replace(
                intent,
                state=IntentState.SENDING,
                attempt=claim.attempt,
                signed_at=claim.signed_at,
                expires_at=claim.expires_at,
                send_by=send_by,
                witnessed=claim.witnessed,
            )
        )
        changes.holders[name] = claimant.me
        changes.attempts[name, claim.attempt] = Attempt(
            claimant.me.boot, claimant.epoch, claim.request_hash, send_by
        )
        if intent.signal_id is not None:
            changes.signals.append((intent.signal_id, SignalStatus.EXECUTING, None))
    return won


async def _expire(
    transaction: Transaction, late: Sequence[ClientOrderId], asked: Sequence[ClientOrderId]
) -> set[ClientOrderId]:
    """End what is too old, what waited for it, and what was to come of it; says which ended."""
    lanes = await transaction.do(
        plain(lambda s: [(LANE, str(s.database.tables.intents[n].lane)) for n in late])
    )
    dead = await transaction.lock(lanes, lambda s: _followers(s.database.tables, late))
    keys = [(INTENT, str(name)) for name in {**dict.fromkeys(dead), **dict.fromkeys(asked)}]
    return await transaction.lock(keys, lambda s: _end(s, transaction, dead))


def _followers(tables: Tables, late: Sequence[ClientOrderId]) -> list[ClientOrderId]:
    dead = list(late)
    for name in dead:
        dead += [i.client_order_id for i in tables.live_intents() if i.after == name]
    return dead


def _end(
    session: Session, transaction: Transaction, dead: Sequence[ClientOrderId]
) -> set[ClientOrderId]:
    tables, changes = session.database.tables, transaction.changes
    intents = [tables.intents[name] for name in dead]
    ended = [i for i in intents if i.state is IntentState.NEW]
    after = {
        i.client_order_id: replace(i, state=IntentState.EXPIRED, reason="too_old") for i in ended
    }
    changes.intents += after.values()
    for position_id in dict.fromkeys(i.position_id for i in ended if i.position_id is not None):
        _close_untouched(session, transaction, position_id, after)
    for signal_id in dict.fromkeys(i.signal_id for i in ended if i.signal_id is not None):
        mine = [
            after.get(i.client_order_id, i)
            for i in tables.intents.values()
            if i.signal_id == signal_id
        ]
        if all(i.state in FINAL for i in mine):
            filled = any(i.filled_quantity > ZERO for i in mine)
            status = SignalStatus.EXECUTED if filled else SignalStatus.EXPIRED
            changes.signals.append((signal_id, status, None if filled else "too_old"))
    return set(after)


def _close_untouched(
    session: Session,
    transaction: Transaction,
    position_id: PositionId,
    after: Mapping[ClientOrderId, OrderIntent],
) -> None:
    tables = session.database.tables
    position = tables.positions[position_id]
    mine = [
        after.get(i.client_order_id, i)
        for i in tables.intents.values()
        if i.position_id == position_id
    ]
    touched = any(i.filled_quantity > ZERO or i.state not in FINAL for i in mine)
    if position.status is PositionStatus.PENDING and not touched:
        closed = replace(
            position,
            status=PositionStatus.CLOSED,
            closed_at=session.database.now(),
            reason="too_old",
        )
        transaction.changes.positions.append(closed)
