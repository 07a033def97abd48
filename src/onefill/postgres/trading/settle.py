"""Stage three: what brokers said becomes fills, positions, money, and the ends of signals."""

from __future__ import annotations

import json
from collections.abc import Sequence

from onefill.core.ids import Lane
from onefill.core.orders.hearing import Told
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import RollsOver
from onefill.keeping.settling import (
    Booking,
    Execution,
    LaneDesk,
    Outcome,
    note_strangers,
    settle_lane,
)
from onefill.ports.trading import Settle, Settled
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Row, Transaction
from onefill.postgres.rows import INTENT_CHANGE, INTENT_READ, intent_of
from onefill.postgres.trading.books import (
    Teller,
    add_money,
    live_positions,
    positions_by_id,
    tell_signals,
    write_position_rows,
)
from onefill.postgres.trading.evidence import keep

_LOCK_LANES = """
SELECT lane, clock_timestamp() AS now FROM lanes
WHERE lane IN (SELECT lane FROM order_intents WHERE client_order_id = ANY($1))
ORDER BY lane FOR NO KEY UPDATE"""

# Those told of, their targets, every live one of their lanes, and all of the signals of these: in
# one statement, sorted, as a claim locks them.
_INTENTS = f"""
WITH base AS (
    SELECT client_order_id, signal_id FROM order_intents WHERE client_order_id = ANY($1)
    UNION
    SELECT t.client_order_id, t.signal_id FROM order_intents i
    JOIN order_intents t ON t.client_order_id = i.target WHERE i.client_order_id = ANY($1)
    UNION
    SELECT client_order_id, signal_id FROM order_intents
    WHERE lane = ANY($2)
      AND state IN ('NEW', 'SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED', 'QUARANTINED'))
SELECT {INTENT_READ} FROM order_intents WHERE client_order_id IN (
    SELECT client_order_id FROM base
    UNION SELECT i.client_order_id FROM order_intents i JOIN base USING (signal_id))
ORDER BY client_order_id FOR NO KEY UPDATE"""

_CHANGE_INTENTS = f"""
UPDATE order_intents i
SET {INTENT_CHANGE.assignments("row", "client_order_id")}, updated_at = clock_timestamp()
FROM {INTENT_CHANGE.unnest()} WHERE i.client_order_id = row.client_order_id"""

_BLOCK_LANES = """
UPDATE lanes l SET blocked = row.reason, blocked_at = clock_timestamp()
FROM unnest($1::text[], $2::text[]) AS row (lane, reason)
WHERE l.lane = row.lane AND l.blocked IS NULL"""

_FILL: Columns[Booking] = Columns(
    (
        Column("client_order_id", "text", lambda row: row[0].client_order_id),
        Column("cumulative_quantity", "numeric", lambda row: row[0].cumulative_quantity),
        Column("position_id", "text", lambda row: row[1].position_id),
        Column("broker", "text", lambda row: row[1].order.broker),
        Column("account", "text", lambda row: row[1].order.account),
        Column("symbol", "text", lambda row: row[1].order.symbol),
        Column("side", "text", lambda row: row[1].order.side),
        Column("quantity", "numeric", lambda row: row[0].quantity),
        Column("value", "numeric", lambda row: row[0].value),
        Column("price", "numeric", lambda row: row[0].price),
        Column("trade_ids", "text", lambda row: json.dumps(row[0].trade_ids)),
    )
)
# No ON CONFLICT: a quantity that is booked twice would be a position that is not there.
_WRITE_FILLS = f"INSERT INTO fills ({_FILL.names}) SELECT * FROM {_FILL.unnest()}"

_TRADE: Columns[Execution] = Columns(
    (
        Column("broker", "text", lambda row: row[0].order.broker),
        Column("account", "text", lambda row: row[0].order.account),
        Column("symbol", "text", lambda row: row[0].order.symbol),
        Column("trade_id", "text", lambda row: row[1].trade_id),
        Column("client_order_id", "text", lambda row: row[0].client_order_id),
        Column("quantity", "numeric", lambda row: row[1].quantity),
        Column("price", "numeric", lambda row: row[1].price),
    )
)
_WRITE_TRADES = f"""
INSERT INTO broker_trades ({_TRADE.names}) SELECT * FROM {_TRADE.unnest()}
ORDER BY broker, account, symbol, trade_id ON CONFLICT DO NOTHING"""


async def settle_group(
    transaction: Transaction,
    told: Sequence[Told],
    settle: Settle,
    teller: Teller,
    *,
    serializable: bool = False,
) -> Settled:
    """Lock, read, settle and write. A lane whose rules break is blocked, its words are kept.

    serializable: whether the transaction is; only then steps of rollovers are written.
    Raises RollsOver, RowsRefused when the database refuses what the rules settled.
    """
    names = sorted({word.client_order_id for word in told})
    lanes = await transaction.fetch(_LOCK_LANES, names)
    desks = await _desks(transaction, names, lanes, told)
    outcome = Outcome()
    note_strangers(outcome, desks, names)
    for lane, desk in desks.items():
        settle_lane(outcome, lane, desk, settle)
    rolls = RollsOver(outcome.positions)
    if rolls.lanes and not serializable:
        raise rolls
    ended = await _write(transaction, outcome, told, teller)
    return Settled(
        intents=tuple(outcome.intents.values()),
        signals=tuple(
            (row["signal_id"], SignalStatus(row["status"]), row["reason"]) for row in ended
        ),
        lanes=tuple(desks),
        alarms=tuple(outcome.alarms),
    )


async def _desks(
    transaction: Transaction, names: Sequence[str], lanes: Sequence[Row], told: Sequence[Told]
) -> dict[Lane, LaneDesk]:
    desks = {Lane(row["lane"]): LaneDesk(row["now"]) for row in lanes}
    rows = await transaction.fetch(_INTENTS, names, list(desks))
    intents = {row["client_order_id"]: intent_of(row) for row in rows}
    for intent in intents.values():
        if intent.lane in desks:
            desks[intent.lane].intents.append(intent)
    positions = await live_positions(transaction, list(desks), [])
    seen = {position.id for position in positions}
    theirs = {intent.position_id for intent in intents.values() if intent.position_id is not None}
    positions += await positions_by_id(transaction, theirs - seen)
    for position in positions:
        if position.lane in desks:
            desks[position.lane].positions.append(position)
    for word in told:
        if word.client_order_id in intents:
            desks[intents[word.client_order_id].lane].told.append(word)
    return desks


async def _write(
    transaction: Transaction, outcome: Outcome, told: Sequence[Told], teller: Teller
) -> list[Row]:
    if outcome.intents:
        arrays = INTENT_CHANGE.arrays(list(outcome.intents.values()))
        await transaction.fetch(_CHANGE_INTENTS, *arrays)
    await keep(transaction, told)
    if outcome.trades:
        await transaction.fetch(_WRITE_TRADES, *_TRADE.arrays(outcome.trades))
    if outcome.blocks:
        blocks = outcome.blocks
        await transaction.fetch(_BLOCK_LANES, list(blocks), list(blocks.values()))
    moved = await tell_signals(transaction, outcome.news, teller, reopen=True)
    await write_position_rows(transaction, outcome.positions)
    # Stamped as booked after what is booked, as near to the commit as may be; money comes last.
    if outcome.fills:
        await transaction.fetch(_WRITE_FILLS, *_FILL.arrays(outcome.fills))
    await add_money(transaction, outcome.positions)
    return moved
