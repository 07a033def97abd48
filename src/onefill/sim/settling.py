"""Stage three on the simulated database: as postgres/trading/settle.py, statement by statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onefill.core.ids import Lane
from onefill.core.intent import OrderIntent
from onefill.core.orders.report import Absent, NotPlaced, NotSent
from onefill.core.orders.settlement import LaneBooks, Settlement, Told
from onefill.core.position import Position
from onefill.ports.trading import Settle, Settled
from onefill.sim.connection import Transaction, plain
from onefill.sim.database import INTENT, LANE, Key, Session
from onefill.sim.tables import Tables


@dataclass(frozen=True, slots=True)
class _Books:
    now: datetime
    intents: list[OrderIntent]
    positions: list[Position]


async def settle_group(transaction: Transaction, told: Sequence[Told], settle: Settle) -> Settled:
    """Lock, read, settle; what is to be written is left in the transaction."""
    keys = await transaction.do(plain(lambda s: _lanes(s.database.tables, told)))
    involved = await transaction.lock(keys, lambda s: _involved(s.database.tables, told, keys))
    books = await transaction.lock(involved, lambda s: _read(s, involved))
    parts = [_settle_lane(Lane(lane), books, told, settle) for _, lane in keys]
    changes = transaction.changes
    for lane, part in parts:
        changes.intents += part.intents
        changes.positions += part.positions
        changes.fills += part.fills
        changes.signals += part.signals
        if part.block is not None:
            changes.blocks[lane] = part.block
    changes.reopen = True
    changes.words += [word.word for word in told]
    changes.denied |= {(w.client_order_id, w.attempt) for w in told if _denies(w)}
    return Settled(
        intents=tuple(changes.intents),
        signals=tuple(changes.signals),
        lanes=tuple(lane for lane, _ in parts),
        alarms=tuple(alarm for _, part in parts for alarm in part.alarms),
    )


def _lanes(tables: Tables, told: Sequence[Told]) -> list[Key]:
    lanes = {tables.intents[word.client_order_id].lane for word in told}
    return [(LANE, str(lane)) for lane in sorted(lanes)]


def _involved(tables: Tables, told: Sequence[Told], lanes: Sequence[Key]) -> list[Key]:
    """Those told of, every live one of their lanes, and all of the signals of these."""
    names = {word.client_order_id for word in told}
    here = {name for _, name in lanes}
    base = {i.client_order_id: i for i in tables.live_intents() if i.lane in here}
    base |= {name: tables.intents[name] for name in names}
    signals = {intent.signal_id for intent in base.values()} - {None}
    kin = {i.client_order_id for i in tables.intents.values() if i.signal_id in signals}
    return [(INTENT, str(name)) for name in sorted({*base, *kin})]


def _read(session: Session, keys: Sequence[Key]) -> _Books:
    tables = session.database.tables
    names = {name for _, name in keys}
    intents = [i for name, i in tables.intents.items() if name in names]
    places = {intent.position_id for intent in intents}
    lanes = {intent.lane for intent in intents}
    positions = [
        p for p in tables.positions.values() if p.id in places or (p.is_live and p.lane in lanes)
    ]
    return _Books(session.database.now(), intents, positions)


def _settle_lane(
    lane: Lane, books: _Books, told: Sequence[Told], settle: Settle
) -> tuple[Lane, Settlement]:
    mine = LaneBooks(
        now=books.now,
        intents=tuple(intent for intent in books.intents if intent.lane == lane),
        positions=tuple(position for position in books.positions if position.lane == lane),
    )
    names = {intent.client_order_id for intent in mine.intents}
    return lane, settle(mine, [word for word in told if word.client_order_id in names])


def _denies(told: Told) -> bool:
    match told.word:
        case Absent(conclusive=conclusive):
            return conclusive
        case NotPlaced() | NotSent():
            return True
        case _:
            return False
