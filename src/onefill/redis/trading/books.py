"""What changes of intents, positions and signals mean for Redis: the thing, and its lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.position import Position, PositionStatus, Rollover
from onefill.core.signal import END_STATUSES, SignalStatus
from onefill.keeping.apart import RowsRefused
from onefill.keeping.evidence import PLACED, Word
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.keeping.settling import Booking
from onefill.redis.authority import Changes
from onefill.redis.documents import KeptIntent, Snapshot, body_of, micros, status_of
from onefill.redis.keys import (
    BLOCKED,
    EXITS,
    INTENTS,
    PAUSE,
    POSITIONS,
    POSITIONS_EVER,
    UNDECIDED,
    UNDECIDED_EXITS,
    key,
)
from onefill.redis.trading.rates import count_word

S = IntentState
LISTED = frozenset(
    {S.NEW, S.SENDING, S.IN_DOUBT, S.ACKED, S.PARTIALLY_FILLED, S.QUARANTINED, S.NOT_PLACED}
)
"""States that somebody must look after, so each has a list."""
_EXITS_TO_ISSUE = (PositionStatus.CLOSING, PositionStatus.PARTIAL)

Moved = tuple[int, SignalStatus, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who writes a signal's steps, and when; no epoch where the write is not fenced."""

    instance: str
    epoch: int | None
    now: datetime


def expect_lane(changes: Changes, snapshot: Snapshot, lane: Lane) -> None:
    """Write only if nobody wrote in this lane since it was read; and tell the others."""
    name = key("lane", lane)
    if name not in changes.versions:
        changes.versions[name] = str(snapshot.lanes[lane].version)
        changes.write("HINCRBY", name, "v", 1)


def expect_switch(changes: Changes, snapshot: Snapshot) -> None:
    """Write only if the kill switch was not moved since it was read."""
    changes.versions[PAUSE] = snapshot.switch.get("v", "0")


def add_intent(changes: Changes, intent: OrderIntent, venue: str, now: datetime) -> None:
    """A new one, where there is none of that name."""
    name, made = intent.client_order_id, micros(now)
    changes.versions[key("intent", name)] = "0"
    changes.set_fields(
        key("intent", name),
        {
            "v": 1,
            "body": body_of(intent),
            "lane": intent.lane,
            "signal": intent.signal_id,
            "position": intent.position_id,
            "target": intent.target,
            "after": intent.after,
            "venue": venue,
            "made": made,
            "changed": made,
        },
    )
    changes.write("ZADD", INTENTS, made, name)
    if intent.signal_id is not None:
        changes.write("SADD", key("signal", intent.signal_id, "intents"), name)
    if intent.position_id is not None:
        changes.write("SADD", key("position", intent.position_id, "intents"), name)
    _list_intent(changes, None, intent, made)


def change_intent(
    changes: Changes, kept: KeptIntent, after: OrderIntent, now: datetime, **fields: object
) -> None:
    """One that is there, as it is from now on."""
    name, changed = after.client_order_id, micros(now)
    changes.set_fields(
        key("intent", name), {"body": body_of(after), "changed": changed, "v": 1, **fields}
    )
    _list_intent(changes, kept.intent, after, changed)
    if after.broker_order_id and after.broker_order_id != kept.intent.broker_order_id:
        changes.write("HSET", key("orders", after.order.broker), after.broker_order_id, name)


def _list_intent(
    changes: Changes, before: OrderIntent | None, after: OrderIntent, changed: int
) -> None:
    name = after.client_order_id
    live = key("lane", after.lane, "intents")
    if before is not None and before.state is not after.state and before.state in LISTED:
        changes.write("ZREM", key("intents", before.state), name)
    if after.state in LISTED:
        changes.write("ZADD", key("intents", after.state), changed, name)
    if after.is_live and (before is None or not before.is_live):
        changes.write("SADD", live, name)
    elif not after.is_live:
        changes.write("SREM", live, name)


def change_positions(
    changes: Changes, snapshot: Snapshot, positions: Sequence[PositionChange]
) -> None:
    """Positions as they are from now on. Raises RowsRefused for one that is not the next version
    of what is stored, or that takes another's slot."""
    for change in positions:
        stored = snapshot.positions.get(change.after.id)
        known = 0 if stored is None else stored.version
        if change.after.version != known:
            raise RowsRefused(
                "A position was written since it was read.", position=change.after.id, known=known
            )
        _write_position(changes, replace(change.after, version=known + 1), known)
    after = {**snapshot.positions, **{change.after.id: change.after for change in positions}}
    slots = Counter((p.lane, p.slot) for p in after.values() if p.is_live)
    taken = [slot for slot, count in slots.items() if count > 1]
    if taken:
        raise RowsRefused("A slot holds one position.", slots=taken)


def _write_position(changes: Changes, position: Position, known: int) -> None:
    name, id_ = key("position", position.id), position.id
    changes.versions[name] = str(known)
    changes.set_fields(name, {"v": position.version, "body": body_of(position)})
    if known == 0:
        changes.write("ZADD", POSITIONS_EVER, micros(position.opened_at), id_)
    live = (POSITIONS, key("lane", position.lane, "positions"))
    for list_ in live:
        changes.write("SADD" if position.is_live else "SREM", list_, id_)
    due = _due_us(position)
    place = f"{position.lane}\n{id_}"
    if due is None:
        changes.write("ZREM", EXITS, place)
    else:
        changes.write("ZADD", EXITS, due, place)


def _due_us(position: Position) -> int | None:
    """When an exit, a repair or a stop of it is to be issued at the latest."""
    dues = []
    if position.guard_at is not None and position.is_live:
        dues.append(micros(position.guard_at))
    if position.status in _EXITS_TO_ISSUE:
        dues.append(0 if position.next_exit_at is None else micros(position.next_exit_at))
    if position.status is PositionStatus.OPEN and position.rollover is Rollover.PENDING:
        dues.append(0)
    return min(dues, default=None)


def tell_signals(
    changes: Changes,
    snapshot: Snapshot,
    news: Sequence[SignalNews],
    teller: Teller,
    *,
    places: Mapping[int, str] | None = None,
    reopen: bool = False,
) -> list[Moved]:
    """Move signals on, each with a step in its story; says which moved.

    A signal that has ended stays so, unless reopen (the venue's word wins, ORD-4). places: of
    those that were undecided until now.
    """
    moved: list[Moved] = []
    for item in {item.signal_id: item for item in news}.values():
        fields = snapshot.signals.get(item.signal_id)
        if fields is None:
            continue
        status, reason = status_of(fields)
        may_move = reopen or status not in END_STATUSES
        if not may_move or (status, reason) == (item.status, item.reason):
            continue
        _tell(changes, item, teller, fields.get("decided_at"))
        moved.append((item.signal_id, item.status, item.reason))
        if places is not None and item.signal_id in places:
            for list_ in (UNDECIDED, UNDECIDED_EXITS):
                changes.write("ZREM", list_, places[item.signal_id])
    return moved


def _tell(changes: Changes, item: SignalNews, teller: Teller, decided_at: str | None) -> None:
    now = micros(teller.now)
    name = key("signal", item.signal_id)
    changes.set_fields(
        name,
        {
            "status": item.status.value,
            "reason": item.reason,
            "processed_by": teller.instance,
            "decided_at": decided_at or now,
            "ended_at": now if item.status in END_STATUSES else None,
        },
    )
    step = {
        "at": teller.now,
        "status": item.status,
        "reason": item.reason,
        "numbers": item.numbers,
        "instance": teller.instance,
        "epoch": teller.epoch,
    }
    changes.write("RPUSH", key("signal", item.signal_id, "steps"), body_of(step))


def add_fills(changes: Changes, fills: Sequence[Booking], now: datetime) -> None:
    """What was filled, once each: the lane's version sees to that."""
    for fill, intent in fills:
        text = body_of({**asdict(fill), "booked_at": now})
        changes.write("RPUSH", key("intent", intent.client_order_id, "fills"), text)


def keep_words(changes: Changes, snapshot: Snapshot, words: Sequence[Word], now: datetime) -> None:
    """What was heard of each attempt. A word that is kept already is not written again."""
    for word in words:
        kept = snapshot.intents.get(ClientOrderId(word.client_order_id))
        name = f"{word.attempt}:{'placed' if word.outcome == PLACED else 'last'}"
        said = [word.outcome, word.detail, word.broker_order_id]
        text = body_of(said)
        if kept is not None and kept.attempts.get(name, "").partition(" ")[2] != text:
            order = kept.intent.order
            count_word(changes, f"{order.broker}/{order.account}", word, now)
            attempts = key("intent", word.client_order_id, "attempts")
            changes.write("HSET", attempts, name, f"{micros(now)} {text}")


def block(changes: Changes, snapshot: Snapshot, lane: Lane, reason: str, now: datetime) -> None:
    """No new exposure in this lane; the first reason stays."""
    if snapshot.lanes[lane].blocked is None:
        changes.set_fields(key("lane", lane), {"blocked": reason, "blocked_at": micros(now)})
        changes.write("SADD", BLOCKED, lane)


def missing_signals(snapshot: Snapshot, news: Collection[SignalNews]) -> list[int]:
    """Signals that there is news of, and that are not read yet."""
    return sorted({item.signal_id for item in news} - set(snapshot.signals))
