"""What is to be done: each list is one statement on its own partial index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent
from onefill.ports.doubts import Waiting
from onefill.ports.lease import Holder
from onefill.postgres.connection import Held
from onefill.postgres.rows import INTENT_READ, intent_of
from onefill.postgres.settings import TRADING_PAUSED, is_on

# Steps from lane to lane along the index, however many signals wait in each.
LANES_WITH_WORK = """
WITH RECURSIVE waiting (lane) AS (
    (SELECT lane FROM signal_log WHERE processing_status = 'received' ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT s.lane FROM signal_log s
            WHERE s.processing_status = 'received' AND s.lane > waiting.lane
            ORDER BY s.lane LIMIT 1)
    FROM waiting WHERE waiting.lane IS NOT NULL)
(SELECT lane FROM portfolio_positions
 WHERE status = 'closing' AND coalesce(next_exit_at, '-infinity') <= clock_timestamp() LIMIT $1)
UNION
(SELECT lane FROM portfolio_positions
 WHERE status = 'partial' AND coalesce(next_exit_at, '-infinity') <= clock_timestamp() LIMIT $1)
UNION
(SELECT lane FROM portfolio_positions
 WHERE status = 'open' AND rollover_status = 'pending' LIMIT $1)
UNION
(SELECT lane FROM portfolio_positions
 WHERE guard_at <= clock_timestamp() AND status <> 'closed' LIMIT $1)
UNION
(SELECT lane FROM waiting WHERE lane IS NOT NULL LIMIT $1)
LIMIT $1"""

_AS_INTENT = ", ".join(f"i.{name.strip()}" for name in INTENT_READ.split(","))

CLAIMABLE = f"""
SELECT {_AS_INTENT} FROM order_intents i
LEFT JOIN order_intents before ON before.client_order_id = i.after
WHERE i.state = 'NEW' AND (i.after IS NULL OR before.state IN ('FILLED', 'DONE'))
  AND i.created_at <= clock_timestamp() - $2 * interval '1 millisecond'
ORDER BY i.adds_exposure, i.created_at LIMIT $1"""

UNRESOLVED = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE state IN ('SENDING', 'IN_DOUBT')
  AND (state = 'IN_DOUBT' OR send_by < clock_timestamp() OR (instance = $2 AND boot <> $3))
ORDER BY updated_at LIMIT $1"""

WORKING = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE state IN ('ACKED', 'PARTIALLY_FILLED') AND ($2::text IS NULL OR instance = $2)
ORDER BY updated_at LIMIT $1"""

CHASED = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE chase_round IS NOT NULL AND state IN ('ACKED', 'PARTIALLY_FILLED')
ORDER BY updated_at LIMIT $1"""

NAMELESS = f"""
SELECT {INTENT_READ} FROM order_intents
WHERE state IN ('SENDING', 'IN_DOUBT', 'QUARANTINED') AND broker_order_id IS NULL
  AND verb = 'place'
ORDER BY updated_at LIMIT $1"""

NAMED = f"""
SELECT {INTENT_READ} FROM order_intents WHERE client_order_id = ANY($1) AND verb = 'place'"""

LINGERING = f"""
SELECT {INTENT_READ} FROM order_intents WHERE state = 'QUARANTINED'
UNION ALL
SELECT {INTENT_READ} FROM order_intents
WHERE state = 'NOT_PLACED' AND updated_at > clock_timestamp() - interval '1 hour'
LIMIT $1"""

UNACKNOWLEDGED = """
SELECT client_order_id, lane, updated_at AS since, clock_timestamp() AS now, reason
FROM order_intents WHERE state = 'QUARANTINED' AND acknowledged_at IS NULL
ORDER BY created_at LIMIT $1"""

KNOWN_ORDERS = """
SELECT broker_order_id, client_order_id FROM order_intents
WHERE broker = $1 AND broker_order_id = ANY($2)"""


async def lanes_with_work(held: Held, limit: int) -> Sequence[Lane]:
    """Lanes with undecided signals, or with an exit or a repair that is due."""
    return [Lane(row["lane"]) for row in await held.read(LANES_WITH_WORK, limit)]


async def claimable(held: Held, limit: int, aged_ms: int) -> Sequence[OrderIntent]:
    """What may be claimed: what reduces a position first, then the oldest."""
    return [intent_of(row) for row in await held.read(CLAIMABLE, limit, aged_ms)]


async def unresolved(held: Held, me: Holder, limit: int) -> Sequence[OrderIntent]:
    """What must be looked up."""
    rows = await held.read(UNRESOLVED, limit, me.instance, me.boot)
    return [intent_of(row) for row in rows]


async def working(held: Held, limit: int, sender: str | None) -> Sequence[OrderIntent]:
    """What is at a broker, and may fill; a sender's own, or everybody's."""
    return [intent_of(row) for row in await held.read(WORKING, limit, sender)]


async def chased(held: Held, limit: int) -> Sequence[OrderIntent]:
    """What is at a broker and follows its price."""
    return [intent_of(row) for row in await held.read(CHASED, limit)]


async def nameless(held: Held, limit: int) -> Sequence[OrderIntent]:
    """What was sent, or may have been, and which order it is at the broker is not known."""
    return [intent_of(row) for row in await held.read(NAMELESS, limit)]


async def named(held: Held, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
    """The orders of these ids."""
    return [intent_of(row) for row in await held.read(NAMED, list(names))]


async def lingering(held: Held, limit: int) -> Sequence[OrderIntent]:
    """What late evidence may still be found for."""
    return [intent_of(row) for row in await held.read(LINGERING, limit)]


async def unacknowledged(held: Held, limit: int) -> Sequence[Waiting]:
    """What a person must hear of."""
    return [
        Waiting(
            client_order_id=ClientOrderId(row["client_order_id"]),
            lane=Lane(row["lane"]),
            since=row["since"],
            now=row["now"],
            reason=row["reason"] or "",
        )
        for row in await held.read(UNACKNOWLEDGED, limit)
    ]


async def known_orders(held: Held, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
    """Ours among a broker's orders."""
    rows = await held.read(KNOWN_ORDERS, broker, list(ids))
    return {row["broker_order_id"]: ClientOrderId(row["client_order_id"]) for row in rows}


async def now(held: Held) -> datetime:
    """The database's clock."""
    moment: datetime = (await held.read("SELECT clock_timestamp() AS now"))[0]["now"]
    return moment


async def is_paused(held: Held) -> bool:
    """Whether a person paused trading."""
    (row,) = await held.read(f"SELECT {is_on(TRADING_PAUSED)} AS paused")
    return bool(row["paused"])
