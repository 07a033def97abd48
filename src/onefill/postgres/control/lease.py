"""The lease as one row. Its epoch is part of a key, so that changing it waits for open fences."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder, Lease
from onefill.postgres.connecting import application_name
from onefill.postgres.connection import Held, Row
from onefill.postgres.control.history import LeadershipHistory, began, ended
from onefill.postgres.control.vigil import session_has_ended

# No lease lasts as long as four minutes (CTL-4): one that seems to was granted before the server's
# clock was set back, or by hand, and would keep everybody away for as long as that.
_RUNS = (
    "coalesce(lease_until BETWEEN clock_timestamp() "
    "AND clock_timestamp() + interval '4 minutes', false)"
)

_READ = f"""
SELECT epoch, holder, boot, barred, {session_has_ended("session_key")} AS has_died,
       CASE WHEN {_RUNS} THEN extract(epoch FROM lease_until - clock_timestamp()) * 1000
            ELSE 0 END::float8 AS remaining_ms
FROM leases WHERE resource = $1"""

# The moment of a change is taken once for all that it writes, and beside the row itself: so it is
# taken again after a wait for the last fence, where one in FROM would be of before.
_NOW = "(SELECT clock_timestamp() AS moment OFFSET 0) now"
_ENDED = ended("l", moment="now.moment", reason="{reason}")
_BEGAN = began(
    epoch="l.epoch + 1",
    holder="{holder}::text",
    boot="{boot}::uuid",
    hostname="{hostname}",
    moment="now.moment",
    reason="{reason}",
)

# CTL-8: a store that lost everything must not hand out an epoch that somebody has seen before.
_FIRST = began(
    epoch="first.epoch",
    holder="$2::text",
    boot="$3::uuid",
    hostname="$6::text",
    moment="first.moment",
    reason="'election'",
)
_CREATE = f"""
INSERT INTO leases
    (resource, epoch, holder, boot, lease_until, acquired_at, session_key, unwritten)
SELECT $1, first.epoch, $2, $3, first.moment + $4 * interval '1 millisecond', first.moment, $5,
       {_FIRST}
FROM (SELECT (extract(epoch FROM moment) * 1000000)::bigint AS epoch, moment FROM {_NOW}) first
ON CONFLICT (resource) DO NOTHING RETURNING epoch"""

_POLICY = f"""resource = $1 AND epoch = $2 AND (
    holder IS NULL OR NOT {_RUNS} OR (holder = $3 AND boot <> $4)
    OR {session_has_ended("session_key")})"""
_AT_ANY_COST = "resource = $1 AND epoch = $2 AND (holder, boot) IS DISTINCT FROM ($3, $4)"

_BAR = "UPDATE leases SET barred = true WHERE {policy} RETURNING holder, boot"

_UNBAR = "UPDATE leases SET barred = false WHERE resource = $1 AND epoch = $2 AND barred"

_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = $1 AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE')"""

_WHY = "CASE WHEN l.holder IS NULL THEN 'election' ELSE $7::text END"
_TAKE = f"""
UPDATE leases l SET epoch = l.epoch + 1, holder = $3, boot = $4, barred = false,
       lease_until = clock_timestamp() + $5 * interval '1 millisecond',
       session_key = $6,
       (acquired_at, unwritten) = (
           SELECT now.moment, l.unwritten || {_ENDED.format(reason="$7::text")}
               || {_BEGAN.format(holder="$3", boot="$4", hostname="$8::text", reason=_WHY)}
           FROM {_NOW})
WHERE {{policy}} RETURNING l.epoch"""

_TRANSFER = f"""
UPDATE leases l SET epoch = l.epoch + 1, holder = $4, boot = $5, barred = false,
       lease_until = clock_timestamp() + $6 * interval '1 millisecond',
       session_key = (SELECT m.session_key FROM instance_metadata m
                      WHERE m.instance = $4 AND m.boot = $5),
       (acquired_at, unwritten) = (
           SELECT now.moment, l.unwritten || {_ENDED.format(reason="$7::text")}
               || {_BEGAN.format(holder="$4", boot="$5", hostname="NULL::text", reason="$7::text")}
           FROM {_NOW})
WHERE l.resource = $1 AND l.epoch = $2 AND l.boot = $3
RETURNING l.epoch"""

_RENEW = """
UPDATE leases SET lease_until = clock_timestamp() + $4 * interval '1 millisecond', session_key = $5
WHERE resource = $1 AND epoch = $2 AND boot = $3 RETURNING epoch"""

_RELEASE = f"""
UPDATE leases l SET holder = NULL, boot = NULL, lease_until = NULL,
       unwritten = (SELECT l.unwritten || {_ENDED.format(reason="$4::text")} FROM {_NOW})
WHERE l.resource = $1 AND l.epoch = $2 AND l.boot = $3 RETURNING l.epoch"""


class PostgresLeaseStore:
    """ports.lease.LeaseStore on one row of PostgreSQL (CTL-1, CTL-2, CTL-6).

    renewals: a connection with the short time-out of a lease call. takeovers: another one, since
    a takeover may have to wait until the open transactions of the old epoch have ended.
    session_key: of the lock by which others see that this process lives; None: it can't be kept.
    hostname: for the history; None where it can't be read.
    """

    def __init__(
        self,
        renewals: Held,
        takeovers: Held,
        history: LeadershipHistory,
        session_key: Callable[[], int | None] = lambda: None,
        hostname: str | None = None,
    ) -> None:
        self._renewals = renewals
        self._takeovers = takeovers
        self._history = history
        self._session_key = session_key
        self._hostname = hostname

    async def read(self, resource: str) -> Lease | None:
        """The lease now; None when nobody ever held it."""
        rows = await self._renewals.read(_READ, resource)
        return _lease(resource, rows[0]) if rows else None

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it, if it is vacant, expired, or an earlier boot's; None when it is not so."""
        if expected == 0:
            me = (claimant.instance, claimant.boot)
            facts = (*me, ttl_ms, self._session_key(), self._hostname)
            return self._noted(resource, await self._takeovers.write(_CREATE, resource, *facts))
        return await self._take(
            resource, expected, claimant, ttl_ms, policy=_POLICY, reason="failover"
        )

    async def force(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it from whoever holds it."""
        return await self._take(
            resource, expected, claimant, ttl_ms, policy=_AT_ANY_COST, reason="forced"
        )

    async def transfer(
        self, resource: str, epoch: Epoch, holder: Holder, to: Holder, *, ttl_ms: int, reason: str
    ) -> Epoch | None:
        """Hand it over in one statement; it waits for the last open fence of this epoch."""
        facts = (epoch, holder.boot, to.instance, to.boot, ttl_ms, reason)
        return self._noted(resource, await self._takeovers.write(_TRANSFER, resource, *facts))

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        """Prolong it; touches no key column, so it never waits for a fence."""
        facts = (resource, epoch, holder.boot, ttl_ms, self._session_key())
        return bool(await self._renewals.write(_RENEW, *facts))

    async def release(
        self, resource: str, epoch: Epoch, holder: Holder, reason: str = "release"
    ) -> bool:
        """Give it up, keeping the epoch."""
        facts = (epoch, holder.boot, reason)
        return bool(self._noted(resource, await self._renewals.write(_RELEASE, resource, *facts)))

    async def close(self) -> None:
        """Let the connections go."""
        await self._renewals.close()
        await self._takeovers.close()
        await self._history.close()

    async def _take(
        self,
        resource: str,
        expected: Epoch,
        claimant: Holder,
        ttl_ms: int,
        *,
        policy: str,
        reason: str,
    ) -> Epoch | None:
        """Bar, end the old holder's sessions, change the epoch: so nobody can hold it up."""
        me = (claimant.instance, claimant.boot)
        barred = await self._takeovers.write(_BAR.format(policy=policy), resource, expected, *me)
        if not barred:
            return None
        previous = _holder(barred[0])
        take = _TAKE.format(policy=policy)
        try:
            if previous is not None and previous != claimant:
                await self._takeovers.read(_TERMINATE, application_name(previous))
            facts = (*me, ttl_ms, self._session_key(), reason, self._hostname)
            rows = await self._takeovers.write(take, resource, expected, *facts)
        except BaseException:
            await self._unbar(resource, expected)
            raise
        if not rows:
            await self._unbar(resource, expected)
            return None
        return self._noted(resource, rows)

    async def _unbar(self, resource: str, expected: Epoch) -> None:
        # Where even this fails, the holder finds itself fenced, steps down, and a taker follows.
        with contextlib.suppress(OnefillError):
            await self._renewals.write(_UNBAR, resource, expected)

    def _noted(self, resource: str, rows: list[Row]) -> Epoch | None:
        """The epoch that was changed, if one was: its history is to be carried over."""
        if not rows:
            return None
        self._history.write_up(resource)
        return Epoch(rows[0]["epoch"])


def _holder(row: Row) -> Holder | None:
    if row["holder"] is None:
        return None
    return Holder(instance=row["holder"], boot=row["boot"])


def _lease(resource: str, row: Row) -> Lease:
    return Lease(
        resource=resource,
        epoch=Epoch(row["epoch"]),
        holder=_holder(row),
        remaining_ms=row["remaining_ms"],
        barred=row["barred"],
        has_died=row["has_died"],
    )
