"""What people settle: quarantined orders and blocked lanes, inside one transaction each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onefill.core.errors import invariant
from onefill.core.ids import ClientOrderId
from onefill.core.intent import OrderIntent
from onefill.core.orders.ruling import (
    PlacedAgain,
    Ruling,
    RulingRefusal,
    Surroundings,
    place_again,
    refusal_of_ruling,
    word_of,
)
from onefill.core.orders.settlement import settle
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.postgres.connection import Row, Transaction
from onefill.postgres.rows import INTENT, INTENT_READ, intent_of
from onefill.postgres.settings import TRADING_PAUSED, is_on
from onefill.postgres.trading.books import (
    Teller,
    live_positions,
    positions_by_id,
    tell_signals,
    write_positions,
)
from onefill.postgres.trading.settle import settle_group
from onefill.postgres.trading.worklists import NAMELESS

_NAMELESS_MAX = 4096

# The lane first, then its orders: as everybody locks them.
_LOCK_LANE = f"""
SELECT lane, blocked, clock_timestamp() AS now,
       {is_on(TRADING_PAUSED)} AS paused
FROM lanes WHERE lane = (SELECT lane FROM order_intents WHERE client_order_id = $1)
FOR NO KEY UPDATE"""
_LOCK_ORDERS = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE source = (SELECT source FROM order_intents WHERE client_order_id = $1)
ORDER BY client_order_id FOR NO KEY UPDATE"""
_OWNER = """
SELECT client_order_id FROM order_intents
WHERE broker = $1 AND account = $2 AND broker_order_id = $3 AND client_order_id <> $4 LIMIT 1"""
_INSERT = f"""
INSERT INTO order_intents ({INTENT.names}, venue)
SELECT row.*, (SELECT venue FROM order_intents WHERE client_order_id = ${len(INTENT) + 1})
FROM {INTENT.unnest()}"""
_ACKNOWLEDGE = """
UPDATE order_intents SET acknowledged_by = $2, acknowledged_at = clock_timestamp()
WHERE client_order_id = $1 AND state = 'QUARANTINED' AND acknowledged_at IS NULL RETURNING 1"""
_STATE = "SELECT state FROM order_intents WHERE client_order_id = $1"
_UNBLOCK = """
WITH before AS (SELECT lane, blocked FROM lanes WHERE lane = $1 FOR NO KEY UPDATE)
UPDATE lanes l SET blocked = NULL, blocked_at = NULL FROM before
WHERE l.lane = before.lane RETURNING before.blocked"""


@dataclass(frozen=True, slots=True)
class _Scene:
    """One order in its lane, all of it locked."""

    lane: Row
    order: OrderIntent
    siblings: tuple[OrderIntent, ...]


async def rule(
    connection: Any, client_order_id: str, ruling: Ruling, teller: Teller
) -> RulingRefusal | None:
    """Settle a quarantined order by a person's verdict; why not, or None."""
    transaction = Transaction(connection)
    scene = await _scene(transaction, client_order_id)
    if scene is None:
        return RulingRefusal.UNKNOWN_ORDER
    sent = [intent_of(row) for row in await transaction.fetch(NAMELESS, _NAMELESS_MAX)]
    refusal = refusal_of_ruling(scene.order, ruling, sent)
    if refusal is None and await _is_anothers(transaction, scene.order, ruling.broker_order_id):
        refusal = RulingRefusal.ANOTHERS_ORDER
    if refusal is not None:
        return refusal
    await settle_group(transaction, [word_of(scene.order, ruling)], settle, teller)
    return None


async def repeat(
    connection: Any, client_order_id: str, teller: Teller
) -> ClientOrderId | RulingRefusal:
    """Place an order again that a person ruled out; the new order's id, or why not."""
    transaction = Transaction(connection)
    scene = await _scene(transaction, client_order_id)
    if scene is None:
        return RulingRefusal.UNKNOWN_ORDER
    positions = await live_positions(transaction, [scene.order.lane], [])
    seen = {position.id for position in positions}
    if scene.order.position_id is not None and scene.order.position_id not in seen:
        positions += await positions_by_id(transaction, [scene.order.position_id])
    around = Surroundings(
        now=scene.lane["now"],
        siblings=scene.siblings,
        positions=positions,
        paused=scene.lane["paused"],
        blocked=scene.lane["blocked"],
    )
    placed = place_again(scene.order, around)
    if isinstance(placed, RulingRefusal):
        return placed
    await _write(transaction, scene.order, placed, around, teller)
    return placed.intent.client_order_id


async def acknowledge(connection: Any, client_order_id: str, by: str) -> RulingRefusal | None:
    """Note that a person knows of a quarantined order; again changes nothing."""
    transaction = Transaction(connection)
    rows = await transaction.fetch(_STATE, client_order_id)
    if not rows:
        return RulingRefusal.UNKNOWN_ORDER
    if rows[0]["state"] != "QUARANTINED":
        return RulingRefusal.NOT_QUARANTINED
    await transaction.fetch(_ACKNOWLEDGE, client_order_id, by)
    return None


async def unblock(connection: Any, lane: str) -> tuple[bool, str | None]:
    """Let a lane take new exposure again: whether there is such a lane, and what blocked it."""
    rows = await Transaction(connection).fetch(_UNBLOCK, lane)
    return bool(rows), rows[0]["blocked"] if rows else None


async def _scene(transaction: Transaction, client_order_id: str) -> _Scene | None:
    lanes = await transaction.fetch(_LOCK_LANE, client_order_id)
    if not lanes:
        return None
    rows = await transaction.fetch(_LOCK_ORDERS, client_order_id)
    siblings = tuple(intent_of(row) for row in rows)
    order = next(each for each in siblings if each.client_order_id == client_order_id)
    return _Scene(lane=lanes[0], order=order, siblings=siblings)


async def _is_anothers(
    transaction: Transaction, order: OrderIntent, broker_order_id: str | None
) -> bool:
    if not broker_order_id:
        return False
    asked = order.order
    return bool(
        await transaction.fetch(
            _OWNER, asked.broker, asked.account, broker_order_id, order.client_order_id
        )
    )


async def _write(
    transaction: Transaction,
    before: OrderIntent,
    placed: PlacedAgain,
    around: Surroundings,
    teller: Teller,
) -> None:
    await transaction.fetch(_INSERT, *INTENT.arrays([placed.intent]), before.client_order_id)
    if placed.position is not None:
        old = next(each for each in around.positions if each.id == placed.position.id)
        invariant(not old.is_live, "only what is over is reopened", position=old.id)
        await write_positions(transaction, [PositionChange(old, placed.position)])
    if before.signal_id is not None:
        news = SignalNews(before.signal_id, SignalStatus.DECIDED, "placed_again")
        await tell_signals(transaction, [news], teller, reopen=True)
