"""Who led, from when until when, and why it changed. It never holds up whom it writes about.

What changes the lease notes it in the lease's own row, so that who dies the next moment loses no
line (CTL-18); from there it is carried over into the history, beside the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.lease import Holder
from onefill.postgres.connection import Held, Row

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_LAST_TRY_S = 1.0
_KEPT_MAX = 1_000


def began(*, epoch: str, holder: str, boot: str, hostname: str, moment: str, reason: str) -> str:
    """SQL: what to add to `unwritten` where that epoch begins."""
    return f"""jsonb_build_array(jsonb_build_object(
    'epoch', {epoch}, 'instance', {holder}, 'boot', {boot}, 'hostname', {hostname},
    'became_at', {moment}, 'reason', {reason}))"""


def ended(row: str, *, moment: str, reason: str) -> str:
    """SQL: what to add to `unwritten` where the epoch of this row of leases ends; nothing where
    nobody held it any more. It names the holder too: an older program took it without a note."""
    return f"""CASE WHEN {row}.holder IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object(
    'epoch', {row}.epoch, 'instance', {row}.holder, 'boot', {row}.boot,
    'became_at', {row}.acquired_at, 'released_at', {moment}, 'end_reason', {reason})) END"""


_UNWRITTEN = "SELECT unwritten FROM leases WHERE resource = $1 AND unwritten <> '[]'"
# Three statements, so that the lease's row is never locked while the history is written; whoever
# dies between them, or does the same at the same time, only repeats what is done.
_CARRY_OVER = """
INSERT INTO leadership_history AS h
    (resource, epoch, instance, boot, hostname, became_at, reason, released_at, end_reason)
SELECT $1, u.epoch, min(u.instance), min(u.boot::text)::uuid, min(coalesce(u.hostname, m.hostname)),
    min(u.became_at), coalesce(min(u.reason), 'election'), min(u.released_at), min(u.end_reason)
FROM jsonb_to_recordset($2::jsonb) AS u (epoch bigint, instance text, boot uuid, hostname text,
    became_at timestamptz, reason text, released_at timestamptz, end_reason text)
LEFT JOIN instance_metadata m ON m.instance = u.instance AND m.boot = u.boot
GROUP BY u.epoch ORDER BY u.epoch
ON CONFLICT (resource, epoch) DO UPDATE
SET released_at = coalesce(h.released_at, EXCLUDED.released_at),
    end_reason = coalesce(h.end_reason, EXCLUDED.end_reason)"""
_CARRIED_OVER = """
UPDATE leases SET unwritten = (
    SELECT coalesce(jsonb_agg(u.one ORDER BY u.n), '[]')
    FROM jsonb_array_elements(unwritten) WITH ORDINALITY AS u (one, n)
    WHERE NOT $2::jsonb @> jsonb_build_array(u.one))
WHERE resource = $1"""
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
    """Written behind the back of those who lead, again until it succeeds (CTL-18).

    failed: told of each write that did not succeed.
    """

    def __init__(self, held: Held, clock: Clock, failed: Callable[[], None] = lambda: None) -> None:
        self._held = held
        self._failed = failed
        self._clock = clock
        self._changed: set[str] = set()
        self._survivors: deque[tuple[str, Epoch, UUID, str]] = deque(maxlen=_KEPT_MAX)
        self._writer: asyncio.Task[None] | None = None

    def write_up(self, resource: str) -> None:
        """Carry over what is noted in its lease: it has changed, or may have."""
        self._changed.add(resource)
        self._begin()

    def survived(self, resource: str, epoch: Epoch, holder: Holder, reason: str) -> None:
        """That holder lives, and has found that this epoch of its is over (CTL-4). reason: how it
        found so; `deadline`: it had stopped by itself before."""
        self._changed.add(resource)  # its line has to be there before
        self._survivors.append((resource, epoch, holder.boot, reason))
        self._begin()

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
        """Try a last time, for a second; the rest is for whoever leads next."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(writer, _LAST_TRY_S)
        await self._held.close()

    def _begin(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="leadership history")

    async def _write(self) -> None:
        while self._changed or self._survivors:
            try:
                await self._write_once()
            except OnefillError as error:
                self._failed()
                _log.error("leadership history is not written yet: %s", error)
                await self._clock.sleep(_RETRY_S)

    async def _write_once(self) -> None:
        if not self._changed:
            await self._held.write(_SURVIVED, *self._survivors[0])
            self._survivors.popleft()
            return
        resource = self._changed.pop()
        try:
            await self._carry_over(resource)
        except BaseException:
            self._changed.add(resource)
            raise

    async def _carry_over(self, resource: str) -> None:
        for row in await self._held.read(_UNWRITTEN, resource):
            await self._held.write(_CARRY_OVER, resource, row["unwritten"])
            await self._held.write(_CARRIED_OVER, resource, row["unwritten"])
