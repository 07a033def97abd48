"""The invariants of the end: what must hold of the world once it had time to heal."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from onefill.core.intake.parse import Valid, parse
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.money import ZERO
from onefill.core.signal import fingerprint
from onefill.sim.clock import moment
from onefill.sim.database import Database
from onefill.sim.judge import Judge
from onefill.sim.machine import Machine
from onefill.sim.rules import ZONES
from onefill.sim.store import broken_promises
from onefill.sim.tables import SignalRow, Tables
from onefill.sim.venue import Venue
from onefill.sim.workload import Sender

S = IntentState


def is_settled(tables: Tables) -> bool:
    """Whether all signals have ended, or are a person's."""
    return not any(_unended(tables)) and not any(_unfinished(tables))


def judge_end(
    judge: Judge, database: Database, venue: Venue, machines: list[Machine], sender: Sender
) -> None:
    """I2, I3, I9, I10, and that no process broke."""
    tables = database.tables
    _judge_processes(judge, machines)
    _judge_signals(judge, tables, database, sender)
    _judge_liveness(judge, tables)
    for promise in broken_promises(tables):
        judge.blame("the_book_is_whole", promise)
    _judge_orders(judge, tables, venue)
    _judge_positions(judge, tables, venue)


def _judge_processes(judge: Judge, machines: list[Machine]) -> None:
    for machine in machines:
        for failure in machine.failures:
            judge.blame("processes_do_not_break", f"{machine.name}: {_words(failure)}")
        for word in judge.unstored(machine):
            judge.blame("evidence_is_never_lost", f"{machine.name} has heard {word}")
        for loop in machine.loops:
            for complaint in loop.complaints:
                judge.blame("nothing_is_left_unheard", f"{machine.name}: {complaint['message']}")


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(inner) for inner in error.exceptions)
    return repr(error)


def _judge_signals(judge: Judge, tables: Tables, database: Database, sender: Sender) -> None:
    counted = Counter(row.new.fingerprint for row in tables.signals.values())
    for identity, count in counted.items():
        if count > 1:
            judge.blame("one_signal_a_fingerprint", f"{identity.hex()[:8]} {count} times")
    now = moment(database.timeline)
    for body in sender.acknowledged:
        valid = parse(body, now=now, zones=ZONES)
        if not isinstance(valid, Valid) or fingerprint(valid.signal) not in counted:
            judge.blame("no_signal_is_lost", body.decode())


def _judge_liveness(judge: Judge, tables: Tables) -> None:
    """I9: each ends, or waits for a person."""
    for row in _unended(tables):
        judge.blame("every_signal_ends", f"signal {row.id} is {row.status} ({row.new.lane})")
    for intent in _unfinished(tables):
        judge.blame("every_order_ends", f"{intent.client_order_id} is {intent.state}")


def _judge_orders(judge: Judge, tables: Tables, venue: Venue) -> None:
    """I3 and I10, order by order: what the venue executed is what we booked of it."""
    executed: dict[str, Decimal] = {}
    for order in venue.orders:
        name = order.request.client_order_id
        executed[name] = executed.get(name, ZERO) + order.filled
    numbers = {order.number: order.request.client_order_id for order in venue.orders}
    for intent in tables.intents.values():
        owner = numbers.get(intent.broker_order_id or "")
        if owner is not None and owner != intent.client_order_id:
            judge.blame("fills_go_to_their_order", f"{intent.client_order_id} has {owner}'s")
        filled = executed.get(intent.client_order_id, ZERO)
        if filled != intent.filled_quantity and intent.state is not S.QUARANTINED:
            facts = f"{intent.client_order_id} ({intent.state}): {intent.filled_quantity}"
            judge.blame("booked_means_executed", f"{facts} booked, {filled} executed")


def _judge_positions(judge: Judge, tables: Tables, venue: Venue) -> None:
    """I10: what we hold is what the venue says, but for orders that are a person's."""
    doubtful = {i.order.symbol for i in tables.in_states(S.QUARANTINED)}
    ours: dict[str, Decimal] = {}
    for position in tables.positions.values():
        for leg in position.legs:
            ours[leg.symbol] = ours.get(leg.symbol, ZERO) + leg.net
    theirs = venue.positions()
    for symbol in sorted({*ours, *theirs} - doubtful):
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO):
            facts = f"{symbol}: ours {ours.get(symbol, ZERO)}, theirs {theirs.get(symbol, ZERO)}"
            judge.blame("positions_equal_executions", facts)


def _persons_lanes(tables: Tables) -> set[str]:
    """Lanes in which a person must do something before anything goes on."""
    blocked = {str(row.lane) for row in tables.lanes.values() if row.blocked is not None}
    return blocked | {str(intent.lane) for intent in tables.in_states(S.QUARANTINED)}


def _unended(tables: Tables) -> list[SignalRow]:
    excused = _persons_lanes(tables)
    return [r for r in tables.signals.values() if not r.has_ended and r.new.lane not in excused]


def _unfinished(tables: Tables) -> list[OrderIntent]:
    excused = _persons_lanes(tables)
    live = (i for i in tables.live_intents() if i.state is not S.QUARANTINED)
    return [i for i in live if i.state is not S.NEW or i.lane not in excused]
