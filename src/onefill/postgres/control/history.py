"""Who led, from when until when, and why it changed. It never holds up whom it writes about."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.lease import Holder
from onefill.postgres.connection import Held, Row

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_LAST_TRY_S = 1.0
_KEPT_MAX = 1_000
_OTHERS_FIRST_S = 2.0

_BECAME = """
INSERT INTO leadership_history (resource, epoch, instance, boot, hostname, became_at, reason)
SELECT $1::text, $2::bigint, $3::text, $4::uuid, coalesce(
    (SELECT m.hostname FROM instance_metadata m WHERE m.instance = $3 AND m.boot = $4),
    $5::text), $6::timestamptz, $7::text
ON CONFLICT (resource, epoch) DO NOTHING"""
# Whoever ends an epoch knows its holder: one that died before it could write is in here too.
_ENDED = """
INSERT INTO leadership_history AS h
    (resource, epoch, instance, boot, became_at, reason, released_at, end_reason)
VALUES ($1, $2, $3, $4, $5, 'election', $6, $7)
ON CONFLICT (resource, epoch) DO UPDATE
SET released_at = coalesce(h.released_at, EXCLUDED.released_at),
    end_reason = coalesce(h.end_reason, EXCLUDED.end_reason)"""
# Whoever makes an epoch writes of it; where it died before it could, the leader does, once others
# have had the time to write what they know better.
_MENDED = """
WITH lease AS (
    SELECT * FROM leases
    WHERE resource = $1 AND holder IS NOT NULL
      AND acquired_at < clock_timestamp() - $2 * interval '1 second'),
missing AS (
    INSERT INTO leadership_history (resource, epoch, instance, boot, became_at, reason)
    SELECT resource, epoch, holder, boot, acquired_at, 'takeover' FROM lease
    ON CONFLICT (resource, epoch) DO NOTHING RETURNING became_at),
open AS (
    UPDATE leadership_history h
    SET (released_at, end_reason) = (
        SELECT n.became_at, n.reason FROM (
            SELECT epoch, became_at, reason FROM leadership_history WHERE resource = $1
            UNION ALL SELECT epoch, acquired_at, 'takeover' FROM lease) n
        WHERE n.epoch > h.epoch ORDER BY n.epoch LIMIT 1)
    FROM lease
    WHERE h.resource = $1 AND h.epoch < lease.epoch AND h.released_at IS NULL RETURNING h.epoch)
SELECT (SELECT count(*) FROM missing) + (SELECT count(*) FROM open) AS mended"""
# Only of an epoch that is over: a holder that takes up its own again was not succeeded.
_SURVIVED = """
UPDATE leadership_history h
SET survived_at = coalesce(survived_at, clock_timestamp()),
    end_reason = CASE WHEN $4 = 'deadline' AND coalesce(end_reason, 'failover') = 'failover'
                      THEN $4 ELSE end_reason END
FROM leases l
WHERE h.resource = $1 AND h.epoch = $2 AND h.boot = $3
  AND l.resource = h.resource AND l.epoch > h.epoch"""
_WRONG_TAKEOVERS = """
SELECT count(*) AS takeovers FROM leadership_history h
JOIN leadership_history n ON n.resource = h.resource AND n.epoch = h.epoch + 1
WHERE h.resource = $1 AND h.survived_at IS NOT NULL AND h.end_reason IN ('failover', 'deadline')
  AND h.released_at > clock_timestamp() - $2 * interval '1 second' AND n.boot <> h.boot"""
_BETWEEN = """
SELECT resource, epoch, instance, boot, hostname, became_at, released_at, reason, end_reason
FROM leadership_history
WHERE resource = $1 AND became_at < $3 AND coalesce(released_at, 'infinity') > $2
ORDER BY epoch"""


class LeadershipHistory:
    """Written behind the back of those who lead, in order, again until it succeeds (CTL-18).

    failed: told of each write that did not succeed.
    """

    def __init__(
        self,
        held: Held,
        clock: Clock,
        hostname: str | None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._held = held
        self._failed = failed
        self._clock = clock
        self._hostname = hostname
        self._waiting: deque[tuple[str, tuple[object, ...]]] = deque(maxlen=_KEPT_MAX)
        self._writer: asyncio.Task[None] | None = None

    def became(
        self, resource: str, epoch: Epoch, holder: Holder, at: datetime, reason: str
    ) -> None:
        """Somebody leads since then."""
        facts = (resource, epoch, holder.instance, holder.boot, self._hostname)
        self._add(_BECAME, (*facts, at, reason))

    def ended(
        self,
        resource: str,
        epoch: Epoch,
        holder: Holder,
        became_at: datetime,
        reason: str,
        *,
        at: datetime | None = None,
    ) -> None:
        """That epoch is over since then; by default since now."""
        facts = (resource, epoch, holder.instance, holder.boot, became_at)
        self._add(_ENDED, (*facts, at or self._clock.wall(), reason))

    async def mend(self, resource: str) -> int:
        """Add what nobody lived to write; how much that was. Raises StoreUnavailable."""
        (row,) = await self._held.write(_MENDED, resource, _OTHERS_FIRST_S)
        return int(row["mended"])

    def survived(self, resource: str, epoch: Epoch, holder: Holder, reason: str) -> None:
        """That holder lives, and has found that this epoch of its is over (CTL-4). reason: how it
        found so; `deadline`: it had stopped by itself before."""
        self._add(_SURVIVED, (resource, epoch, holder.boot, reason))

    async def wrong_takeovers(self, resource: str, within_s: float) -> int:
        """How many takeovers within this time hit a holder that was alive. Those by hand, and
        those of holders that were never heard of again, don't count. Raises StoreUnavailable."""
        (row,) = await self._held.read(_WRONG_TAKEOVERS, resource, within_s)
        return int(row["takeovers"])

    async def between(self, resource: str, start: datetime, end: datetime) -> list[Row]:
        """The intervals of leadership that touch this time, in order."""
        return await self._held.read(_BETWEEN, resource, start, end)

    async def written(self) -> None:
        """Return when all that was told is in the database."""
        while self._writer is not None and not self._writer.done():
            await self._writer

    async def close(self) -> None:
        """Try a last time; what can't be written within a second is lost."""
        if self._writer is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writer, _LAST_TRY_S)
        await self._held.close()

    def _add(self, sql: str, facts: tuple[object, ...]) -> None:
        self._waiting.append((sql, facts))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="leadership history")

    async def _write(self) -> None:
        while self._waiting:
            sql, facts = self._waiting[0]
            try:
                await self._held.write(sql, *facts)
            except OnefillError as error:
                self._failed()
                _log.error("leadership history is not written yet: %s", error)
                await self._clock.sleep(_RETRY_S)
            else:
                self._waiting.popleft()
