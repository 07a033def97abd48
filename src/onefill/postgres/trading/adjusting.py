"""What was traded by hand, booked inside one transaction: all of it, or nothing (ORD-9)."""

from __future__ import annotations

from typing import Any

from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, adjust
from onefill.core.orders.settlement import settle
from onefill.ports.trading import Settled
from onefill.postgres.connection import Transaction
from onefill.postgres.rows import INTENT, INTENT_READ, intent_of
from onefill.postgres.trading.books import Teller, live_positions
from onefill.postgres.trading.settle import settle_group

# The lanes first, sorted, then their orders: as everybody locks them.
_LOCK_LANES = """
SELECT lane FROM lanes WHERE lane IN (
    SELECT p.lane FROM portfolio_positions p JOIN position_legs l USING (position_id)
    WHERE p.status <> 'closed' AND l.broker = $1 AND l.account = $2 AND l.symbol = ANY($3))
ORDER BY lane FOR NO KEY UPDATE"""
_LOCK_LIVE = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE lane = ANY($1)
  AND state IN ('NEW', 'SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED', 'QUARANTINED')
ORDER BY client_order_id FOR NO KEY UPDATE"""
_INSERT = f"""
INSERT INTO order_intents ({INTENT.names}, venue)
SELECT row.*, (SELECT i.venue FROM order_intents i WHERE i.position_id = row.position_id LIMIT 1)
FROM {INTENT.unnest()}"""
_ACCEPT = """
INSERT INTO accepted_orders (broker, account, broker_order_id, accepted_by, note)
SELECT $1, $2, number, $4, $5 FROM unnest($3::text[]) AS number ON CONFLICT DO NOTHING"""


async def adjust_positions(
    connection: Any, wanted: Adjustment, teller: Teller
) -> Settled | AdjustmentRefusal:
    """Book it, and note the orders that explain it; why not, or what came of it."""
    transaction = Transaction(connection)
    symbols = [held.symbol for held in wanted.holdings]
    rows = await transaction.fetch(_LOCK_LANES, wanted.broker, wanted.account, symbols)
    lanes = [row["lane"] for row in rows]
    live = [intent_of(row) for row in await transaction.fetch(_LOCK_LIVE, lanes)]
    positions = await live_positions(transaction, lanes, [])
    corrections = adjust(wanted, positions, live)
    if isinstance(corrections, AdjustmentRefusal):
        return corrections
    await transaction.fetch(_INSERT, *INTENT.arrays([each.intent for each in corrections]))
    numbers = [number for held in wanted.holdings for number in held.orders]
    await transaction.fetch(
        _ACCEPT, wanted.broker, wanted.account, numbers, teller.instance, wanted.note
    )
    return await settle_group(transaction, [each.told for each in corrections], settle, teller)
