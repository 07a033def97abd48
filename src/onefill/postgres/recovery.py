"""ports.recovery.RecoveryStore on PostgreSQL: is the book whole, and what does it hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import IntentState
from onefill.core.invariants import violations
from onefill.core.orders.hearing import Fill
from onefill.core.orders.reconcile import KnownOrder
from onefill.core.position import Position
from onefill.ports.recovery import Holdings
from onefill.postgres.connection import Held, Row
from onefill.postgres.rows import INTENT_READ, intent_of
from onefill.postgres.trading.books import positions_by_id

_LIVE = "SELECT position_id FROM portfolio_positions WHERE status <> 'closed'"
_INTENTS = f"SELECT {INTENT_READ} FROM order_intents WHERE position_id = ANY($1)"
_FILLS = """
SELECT client_order_id, cumulative_quantity, quantity, value, trade_ids FROM fills
WHERE client_order_id = ANY($1)"""
_NET = """
SELECT l.symbol, sum(l.bought_quantity - l.sold_quantity) AS net
FROM portfolio_positions p JOIN position_legs l USING (position_id)
WHERE p.status <> 'closed' AND l.broker = $1 AND l.account = $2
GROUP BY l.symbol"""
_UNSETTLED = """
SELECT DISTINCT symbol FROM order_intents
WHERE state IN ('SENDING', 'IN_DOUBT', 'QUARANTINED')
  AND broker = $1 AND account = $2"""
_RECENT = """
SELECT DISTINCT symbol FROM order_intents
WHERE broker = $1 AND account = $2 AND created_at > clock_timestamp() -
    CASE WHEN EXISTS (SELECT FROM authority_losses WHERE ended_at IS NULL)
         THEN interval '7 days' ELSE interval '15 minutes' END"""
_KNOWN = """
SELECT client_order_id, attempt, state, symbol, quantity, filled_quantity, broker_order_id
FROM order_intents
WHERE broker = $1 AND account = $2 AND verb = 'place'
  AND (broker_order_id = ANY($3) OR client_order_id = ANY($4))"""
_ACCEPTED = "SELECT broker_order_id FROM accepted_orders WHERE broker = $1 AND account = $2"
_SAVE = """
INSERT INTO reconciliations (instance, epoch, trigger, clean, report)
VALUES ($1, $2, $3, $4, $5)"""


class PostgresRecoveryStore:
    """Reads the whole live book; made for starts and audits, not for hot paths."""

    def __init__(self, held: Held, instance: str) -> None:
        self._held = held
        self._instance = instance

    async def broken_promises(self) -> Sequence[str]:
        """Every violated invariant of the positions that are not closed, in words."""
        async with self._held.transaction() as snapshot:
            await snapshot.fetch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            live = [row["position_id"] for row in await snapshot.fetch(_LIVE)]
            positions = await positions_by_id(snapshot, live)
            intents = await snapshot.fetch(_INTENTS, live)
            names = [row["client_order_id"] for row in intents]
            fills = await snapshot.fetch(_FILLS, names)
        # Beside the loop: a book of thousands of orders takes longer than a lease call may.
        return await asyncio.to_thread(_broken, intents, positions, fills)

    async def holdings(self, broker: str, account: str) -> Holdings:
        """What our book says this account holds."""
        net = await self._held.read(_NET, broker, account)
        unsettled = await self._held.read(_UNSETTLED, broker, account)
        recent = await self._held.read(_RECENT, broker, account)
        return Holdings(
            net={row["symbol"]: row["net"] for row in net if row["net"] != 0},
            unsettled={row["symbol"] for row in unsettled},
            recent={row["symbol"] for row in recent},
        )

    async def known(
        self, broker: str, account: str, numbers: Sequence[str], names: Sequence[str]
    ) -> Sequence[KnownOrder]:
        """Our intents with these broker order ids, or with these client order ids."""
        rows = await self._held.read(_KNOWN, broker, account, list(numbers), list(names))
        return [
            KnownOrder(
                client_order_id=ClientOrderId(row["client_order_id"]),
                attempt=row["attempt"],
                state=IntentState(row["state"]),
                symbol=row["symbol"],
                quantity=row["quantity"],
                filled_quantity=row["filled_quantity"],
                broker_order_id=row["broker_order_id"],
            )
            for row in rows
        ]

    async def accepted(self, broker: str, account: str) -> AbstractSet[str]:
        """Broker order ids that a person has looked at."""
        rows = await self._held.read(_ACCEPTED, broker, account)
        return {row["broker_order_id"] for row in rows}

    async def save_reconciliation(
        self, epoch: Epoch | None, trigger: str, clean: bool, report: str
    ) -> None:
        """Keep a report."""
        await self._held.write(_SAVE, self._instance, epoch, trigger, clean, report)

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()


def _broken(
    intents: Sequence[Row], positions: Sequence[Position], fills: Sequence[Row]
) -> list[str]:
    heard = [
        Fill(
            client_order_id=ClientOrderId(row["client_order_id"]),
            cumulative_quantity=row["cumulative_quantity"],
            quantity=row["quantity"],
            value=row["value"],
            trade_ids=tuple(row["trade_ids"]),
        )
        for row in fills
    ]
    found = violations([intent_of(row) for row in intents], positions, heard)
    return [str(violation) for violation in found]
