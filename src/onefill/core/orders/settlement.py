"""What brokers' words mean for intents, positions and signals. Source: ORD-4, ORD-10, PF-12.

Pure, and the same whatever order the words come in: quantities are cumulative, states only move
forward, and everything else is derived from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from onefill.core.errors import invariant
from onefill.core.ids import ClientOrderId, PositionId
from onefill.core.intent import DEAD, IntentEvent, IntentState, OrderIntent, Side, Verb, step
from onefill.core.issue import CLOSE, UNWIND
from onefill.core.orders.closing import committed
from onefill.core.orders.hearing import Fill, Heard, Told, Unsettled, hear, resized
from onefill.core.orders.protection import after_end, after_fill
from onefill.core.orders.remainders import NOT_COUNTED, NOTHING_LEFT, reduced, rests_of, withdrawn
from onefill.core.orders.report import Carried, OrderReport, Placed
from onefill.core.orders.standing import PREDECESSOR, position_standing, signal_standing
from onefill.core.position import Position, PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import SignalStatus

__all__ = ["Fill", "LaneBooks", "Settlement", "Told", "Unsettled", "settle"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneBooks:
    """What the words may touch, of one lane, as the store has it, locked.

    intents: those told of, those that wait for them, every live one of their positions, and all
    of the signals of these. positions: theirs, and the lane's others that are not closed.
    """

    now: datetime
    intents: tuple[OrderIntent, ...]
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What to write: only what changed. block: why the lane takes no new exposure from now.

    signals: where the touched signals stand, changed or not.
    """

    intents: tuple[OrderIntent, ...] = ()
    positions: tuple[Position, ...] = ()
    fills: tuple[Fill, ...] = ()
    signals: tuple[tuple[int, SignalStatus, str | None], ...] = ()
    block: str | None = None
    alarms: tuple[str, ...] = ()


@dataclass(slots=True)
class _Books:
    """The books while they are being settled."""

    now: datetime
    intents: dict[ClientOrderId, OrderIntent]
    positions: dict[PositionId, Position]
    fills: list[Fill] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    block: str | None = None

    def note(self, alarms: Iterable[str], block: str | None) -> None:
        self.alarms += alarms
        self.block = self.block or block

    def live_of(self, position: Position) -> list[OrderIntent]:
        mine = (i for i in self.intents.values() if i.position_id == position.id)
        return [intent for intent in mine if intent.is_live]


def settle(books: LaneBooks, told: Sequence[Told]) -> Settlement:
    """What follows from these words for everything in the books.

    Without words it looks again at all that the books hold: after orders were withdrawn or
    expired elsewhere. Raises Bug for a word about an intent that the books don't hold.
    """
    working = _Books(
        now=books.now,
        intents={intent.client_order_id: intent for intent in books.intents},
        positions={position.id: position for position in books.positions},
    )
    for word in told:
        _take_word(working, word)
    working.intents.update(reduced(working.intents))
    _look_after_stops(working, books)
    _withdraw_vain(working, frozenset(word.client_order_id for word in told))
    _stand_positions(working)
    _tell_short_exits(working, books)
    return _settlement(working, books, told)


def _take_word(books: _Books, told: Told) -> None:
    intent = books.intents.get(told.client_order_id)
    invariant(intent is not None, "the books hold what is told of", id=told.client_order_id)
    assert intent is not None
    heard = hear(intent, told)
    _take_heard(books, heard)
    if isinstance(told.word, Carried):
        _carry_out(books, intent, told.word.report)


def _take_heard(books: _Books, heard: Heard) -> None:
    books.intents[heard.intent.client_order_id] = heard.intent
    books.note(heard.alarms, heard.block)
    _book(books, heard)


def _carry_out(books: _Books, change: OrderIntent, report: OrderReport) -> None:
    """What a cancel or a change that took effect means for its target, and for an exit that
    waited for it."""
    target = books.intents.get(change.target) if change.target is not None else None
    invariant(target is not None, "the books hold a change's target", id=change.client_order_id)
    assert target is not None
    if change.verb is Verb.MODIFY and report.quantity is not None:
        target = resized(target, report.quantity, report)
        books.intents[target.client_order_id] = target
    word = Told(
        client_order_id=target.client_order_id, attempt=target.attempt, word=Placed(report=report)
    )
    _take_heard(books, hear(target, word))
    if change.verb is Verb.CANCEL and not report.states_fills:
        _drop_rests(books, target)
    position = books.positions.get(target.position_id) if target.position_id is not None else None
    if position is not None and position.status is PositionStatus.CLOSING:
        books.positions[position.id] = replace(position, next_exit_at=None)


def _drop_rests(books: _Books, target: OrderIntent) -> None:
    """Nothing is sent for what is left of an order where nobody says how much that is."""
    for rest in tuple(rests_of(target, books.intents.values())):
        if rest.state is IntentState.NEW:
            books.intents[rest.client_order_id] = withdrawn(rest, NOT_COUNTED)
            name = target.client_order_id
            books.alarms.append(
                f"{rest.lane}: the broker does not say what is filled of order {name}: "
                "what is left is not sent at market"
            )


def _book(books: _Books, heard: Heard) -> None:
    """Add what was filled to its position."""
    fill, intent = heard.fill, heard.intent
    if fill is None:
        return
    books.fills.append(fill)
    if intent.position_id is None:
        return
    position = books.positions.get(intent.position_id)
    invariant(position is not None, "the books hold the positions of fills", id=intent.position_id)
    assert position is not None
    after = position.fill(
        intent.leg, intent.order.side, fill.quantity, fill.value, is_first=fill.is_first
    )
    books.positions[position.id] = after_fill(after, intent, books.now)


def _look_after_stops(working: _Books, books: LaneBooks) -> None:
    """Positions whose stop at the broker has just ended (PF-11)."""
    for before in books.intents:
        stop = working.intents[before.client_order_id]
        position = working.positions.get(stop.position_id) if stop.position_id else None
        if position is None or not before.is_live or stop.is_live:
            continue
        after, alarm = after_end(position, stop, working.intents.values(), books.now)
        working.positions[position.id] = after
        working.note((alarm,) if alarm else (), None)


def _withdraw_vain(books: _Books, touched: frozenset[ClientOrderId]) -> None:
    """End unsent orders that have lost their point, until none is left that lost it thereby."""
    found = True
    while found:
        found = False
        for intent in [i for i in books.intents.values() if i.state is IntentState.NEW]:
            reason = _vain(books, intent, touched)
            if reason is not None:
                state, _ = step(intent.state, IntentEvent.WITHDRAWN)
                ended = replace(intent, state=state, reason=reason)
                books.intents[intent.client_order_id] = ended
                found = True


def _vain(books: _Books, intent: OrderIntent, touched: frozenset[ClientOrderId]) -> str | None:
    """Why an unsent order must not be sent any more, or None."""
    before = books.intents.get(intent.after) if intent.after is not None else None
    if before is not None and before.state in DEAD:
        return f"{PREDECESSOR}{before.state.value.lower()}"
    position = books.positions.get(intent.position_id) if intent.position_id is not None else None
    trades = intent.verb is Verb.PLACE and intent.action != CLOSE
    if position is not None and trades and _is_leaving(position):
        return Refusal.OVERTAKEN.code
    is_exit = intent.verb is Verb.PLACE and intent.action in (CLOSE, UNWIND)
    if position is not None and is_exit and _is_beyond(position, intent, books.live_of(position)):
        return NOTHING_LEFT
    late = intent.valid_until is not None and books.now > intent.valid_until
    return Refusal.TOO_OLD.code if late and intent.client_order_id in touched else None


def _is_beyond(position: Position, intent: OrderIntent, live: Sequence[OrderIntent]) -> bool:
    """Whether an unsent exit, with all that is under way, asks for more than is held: part of it
    was traded by hand (ORD-9). live: the position's."""
    net, side = position.leg(intent.leg).net, intent.order.side
    return committed(live, intent.leg, side) > (net if side is Side.SELL else -net)


def _is_leaving(position: Position) -> bool:
    return position.status in (PositionStatus.CLOSING, PositionStatus.CLOSED)


def _stand_positions(books: _Books) -> None:
    for position in tuple(books.positions.values()):
        others = tuple(books.positions.values())
        standing = position_standing(position, books.live_of(position), others, books.now)
        books.positions[position.id] = standing.position
        books.note((standing.alarm,) if standing.alarm else (), standing.block)


def _tell_short_exits(working: _Books, books: LaneBooks) -> None:
    """A person is told of each exit that ended short; it is issued again (PF-12)."""
    for before in books.intents:
        after = working.intents[before.client_order_id]
        if not _ended_short(before, after):
            continue
        if not any(rests_of(after, working.intents.values())):
            alarm = f"{after.lane}: exit order {after.client_order_id} ended {after.state}"
            working.alarms.append(f"{alarm} ({after.reason}): it will be issued again")


def _ended_short(before: OrderIntent, after: OrderIntent) -> bool:
    """Whether an exit has just ended by itself with something left to sell."""
    has_ended = after.action == CLOSE and before.is_live and after.state in DEAD
    reason = after.reason or ""
    return has_ended and reason != NOTHING_LEFT and not reason.startswith(PREDECESSOR)


def _settlement(working: _Books, books: LaneBooks, told: Sequence[Told]) -> Settlement:
    intents = _changed(books.intents, lambda old: working.intents[old.client_order_id])
    positions = _changed(books.positions, lambda old: working.positions[old.id])
    names = {intent.client_order_id for intent in intents} | {w.client_order_id for w in told}
    places = {position.id for position in positions}
    touched = [
        intent
        for intent in working.intents.values()
        if not told or intent.client_order_id in names or intent.position_id in places
    ]
    return Settlement(
        intents=intents,
        positions=positions,
        fills=tuple(working.fills),
        signals=_signals(working, touched),
        block=working.block,
        alarms=tuple(dict.fromkeys(working.alarms)),
    )


def _changed(before: Sequence[_T], after_of: Callable[[_T], _T]) -> tuple[_T, ...]:
    pairs = ((old, after_of(old)) for old in before)
    return tuple(new for old, new in pairs if new != old)


def _signals(
    books: _Books, touched: Sequence[OrderIntent]
) -> tuple[tuple[int, SignalStatus, str | None], ...]:
    """Where the signals of these orders stand, and those that close their positions."""
    places = {intent.position_id for intent in touched}
    leaving = {p.exit_signal_id for p in books.positions.values() if p.id in places}
    ids = {intent.signal_id for intent in touched} | leaving
    changes = (
        signal_standing(
            signal_id,
            tuple(books.intents.values()),
            [p for p in books.positions.values() if p.exit_signal_id == signal_id],
            books.now,
        )
        for signal_id in sorted(each for each in ids if each is not None)
    )
    return tuple((change.signal_id, change.status, change.reason) for change in changes)
