"""Rate limits across instances (ORD-11): the attempts themselves are the count.

Nothing is shared out, so nothing is lost with an instance that dies. An attempt counts from its
claim until its window has passed since it can last have reached the broker: since its answer, or
where none came, since the last moment at which it could be written and travel.
"""

from __future__ import annotations

from collections.abc import Sequence

from onefill.core.orders.rates import CLOSED, RateWindow, Room, Urgency
from onefill.postgres.connection import Held, Row, Transaction

_TRAVEL_MS = 10_000
"""How long what was written at its very last moment may take to arrive."""
_LONGEST_AWAY_MS = 60_000
"""An attempt's claim, sending and travel together never take longer."""
_GRANT_PARTS = 20
"""A grant is this part of its window, in weight and in time: so much is lost with its holder."""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('onefill limits ' || $1, 0))"

# `unnest` keeps the windows apart: one row each, in the order in which they were asked.
COUNT = """
SELECT (SELECT count(*) FROM order_attempts a JOIN order_intents i USING (client_order_id)
        WHERE a.claimed_at > clock_timestamp() - (w.window_ms + $3) * interval '1 millisecond'
          AND least(a.outcome_at, a.send_by + $4 * interval '1 millisecond')
              > clock_timestamp() - w.window_ms * interval '1 millisecond'
          AND a.outcome IS DISTINCT FROM 'not_sent'
          AND i.broker || '/' || i.account = $1) AS used
FROM unnest($2::bigint[]) WITH ORDINALITY AS w (window_ms, place) ORDER BY w.place"""
_HELD = "SELECT FROM rate_holds WHERE account = $1 AND held_until > clock_timestamp()"
_HOLD = """
INSERT INTO rate_holds AS h (account, held_until, reason)
VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)
ON CONFLICT (account) DO UPDATE
SET held_until = greatest(h.held_until, excluded.held_until), reason = excluded.reason"""
_FORGET = """
DELETE FROM rate_grants
WHERE account = $1 AND use_by < clock_timestamp() - $2 * interval '1 millisecond'"""
_GRANTED = """
SELECT coalesce((SELECT sum(weight) FROM rate_grants g
                 WHERE g.account = $1
                   AND g.use_by > clock_timestamp() - w.window_ms * interval '1 millisecond'), 0)
       AS used
FROM unnest($2::bigint[]) WITH ORDINALITY AS w (window_ms, place) ORDER BY w.place"""
_GRANT = """
INSERT INTO rate_grants (account, weight, use_by)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')"""


class PostgresRates:
    """ports.rates.RateStore on PostgreSQL."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def room(self, account: str, windows: Sequence[RateWindow]) -> Room:
        """How many orders could be claimed now."""
        if await self._held.read(_HELD, account):
            return CLOSED
        rows = await self._held.read(COUNT, *_counting(account, windows))
        return _room(windows, rows)

    async def grant(
        self, account: str, windows: Sequence[RateWindow], weight: int, urgency: Urgency
    ) -> int:
        """Weight to ask with at once, or 0."""
        lengths = [window.window_ms for window in windows]
        async with self._held.transaction() as transaction:
            await transaction.fetch(LOCK, f"weight {account}")
            if await transaction.fetch(_HELD, account):
                return 0
            rows = await transaction.fetch(_GRANTED, account, lengths)
            pairs = list(zip(windows, rows, strict=True))
            left = min(w.for_questions(urgency) - int(row["used"]) for w, row in pairs)
            if left < weight:
                return 0
            granted = max(weight, min(left, *(w.most // _GRANT_PARTS for w in windows)))
            use_within_ms = min(lengths) // _GRANT_PARTS
            await transaction.fetch(_FORGET, account, max(lengths))
            await transaction.fetch(_GRANT, account, granted, use_within_ms)
        return granted

    async def hold(self, account: str, hold_ms: int, why: str) -> None:
        """Nobody orders or asks for so long."""
        await self._held.write(_HOLD, account, hold_ms, why)

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()


async def room_of(transaction: Transaction, account: str, windows: Sequence[RateWindow]) -> Room:
    """What may be claimed in this transaction, which has locked the account."""
    if await transaction.fetch(_HELD, account):
        return CLOSED
    rows = await transaction.fetch(COUNT, *_counting(account, windows))
    return _room(windows, rows)


def _counting(account: str, windows: Sequence[RateWindow]) -> tuple[object, ...]:
    return account, [window.window_ms for window in windows], _LONGEST_AWAY_MS, _TRAVEL_MS


def _room(windows: Sequence[RateWindow], rows: Sequence[Row]) -> Room:
    pairs = zip(windows, rows, strict=True)
    return Room.left([(window, int(row["used"])) for window, row in pairs])
