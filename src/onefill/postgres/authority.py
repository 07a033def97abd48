"""ports.authority.Losses on PostgreSQL: each new connection is asked how far its server has come.

A server that was put back to an older state does not know it. So the first instance that notices
does all that follows in one transaction, before anything else is said on its new connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from onefill.core.control.authority import Landmark, Loss, LossKind, loss_of
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.authority import LossRow, Memory
from onefill.ports.lease import LEADER
from onefill.postgres.connecting import Connecting
from onefill.postgres.connection import Held, Row
from onefill.postgres.control.history import LeadershipHistory, ended
from onefill.postgres.faults import translated
from onefill.postgres.trading.losses import DOUBT_AGAIN, END, IS_QUIET, OPEN, PUT_IN_DOUBT, loss_row

ENDED_BY, SPLIT_BRAIN = "authority_lost", "split_brain"
_LOCK_KEY = 0x0F112

# The timeline of the last checkpoint would be the old one for a while after a promotion. A restored
# dump has the server's identity, but other tables.
_IDENTITY = """
SELECT pg_is_in_recovery() AS is_replica,
       concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
                 CASE WHEN NOT pg_is_in_recovery()
                      THEN left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) END,
                 (SELECT oid FROM pg_database WHERE datname = current_database()),
                 to_regclass('leases')::oid) AS identity"""
_SIGHT = """
SELECT coalesce((SELECT epoch FROM leases WHERE resource = 'leader'), 0) AS epoch,
       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint AS position,
       clock_timestamp() AS at, (SELECT max(noticed_at) FROM authority_losses) AS noticed_at"""

_NOTICE = """
INSERT INTO authority_losses (noticed_by, kind, found, doubtful_until)
VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')"""

# Nobody holds the lease afterwards, and no epoch that anybody has seen is given out again.
_RAISE = f"""
INSERT INTO leases AS l (resource, epoch, acquired_at)
VALUES ($1, greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $2::bigint + 1),
        clock_timestamp())
ON CONFLICT (resource) DO UPDATE
SET epoch = greatest(l.epoch, $2) + 1, holder = NULL, boot = NULL, lease_until = NULL,
    barred = false, session_key = NULL,
    unwritten = l.unwritten || {ended("l", moment="clock_timestamp()", reason="$4::text")}
WHERE $3 OR l.epoch <= $2"""

log = structlog.get_logger()

Fetch = Callable[..., Awaitable[list[Row]]]


class PostgresAuthority:
    """Watches over the store for one instance.

    connecting: without a watch of its own. held: for what is asked again and again.
    doubtful_ms: for how long after its signing a broker may take a request. migrate: brings
    the tables of a database that was not seen before up to date.
    """

    def __init__(
        self,
        connecting: Connecting,
        held: Held,
        memory: Memory,
        history: LeadershipHistory,
        *,
        doubtful_ms: int,
        migrate: Callable[[], Awaitable[object]],
    ) -> None:
        self._connecting = connecting
        self._held = held
        self._memory = memory
        self._history = history
        self._doubtful_ms = doubtful_ms
        self._migrate = migrate
        self._migrated: str | None = None
        self._one_at_a_time = asyncio.Lock()

    async def inspect(self, connection: Any) -> None:
        """Whatever follows from what this new connection leads to is done when this returns.

        Raises StoreUnavailable when nothing may be asked of it.
        """
        await self._look(connection.fetch)

    async def look(self) -> LossRow | None:
        """Look how far the store has come, and remember it; the loss that is open, if any."""
        await self._look(self._held.read)
        rows = await self._held.read(OPEN)
        return loss_row(rows[0]) if rows else None

    async def witness_ahead(self, above: Epoch) -> None:
        """Enter SAFE: the witness has seen an epoch that the store has not."""
        await self._enter(lambda seen, noticed_at: _witnessed(seen, above))

    async def is_quiet(self, epoch: Epoch) -> bool:
        """Whether all that was in doubt at the loss is settled, or a person's."""
        async with self._held.guarded(epoch) as transaction:
            await transaction.fetch(DOUBT_AGAIN)
            return bool((await transaction.fetch(IS_QUIET))[0]["is_quiet"])

    async def end(self, epoch: Epoch) -> bool:
        """End SAFE, if it is still quiet."""
        async with self._held.guarded(epoch) as transaction:
            await transaction.fetch(DOUBT_AGAIN)
            if not (await transaction.fetch(IS_QUIET))[0]["is_quiet"]:
                return False
            return bool(await transaction.fetch(END, "reconciliation", None))

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()

    async def _look(self, fetch: Fetch) -> None:
        remembered = self._memory.landmark  # before it is asked: others go on remembering
        seen, noticed_at = await self._sight(fetch)
        if loss_of(remembered, seen, noticed_at) is None:
            self._memory.remember(seen)
            return
        await self._enter(lambda now, noticed_at: loss_of(self._memory.landmark, now, noticed_at))

    async def _sight(self, fetch: Fetch) -> tuple[Landmark, datetime | None]:
        [row] = await fetch(_IDENTITY)
        if row["is_replica"]:
            raise StoreUnavailable("PostgreSQL is a replica, or still recovering.")
        if row["identity"] != self._migrated:
            # Perhaps an older one, or an empty one: then its tables come first.
            await self._migrate()
            [row] = await fetch(_IDENTITY)
            self._migrated = row["identity"]
        [far] = await fetch(_SIGHT)
        landmark = Landmark(
            identity=row["identity"],
            position=far["position"],
            epoch=Epoch(far["epoch"]),
            at=far["at"],
        )
        return landmark, far["noticed_at"]

    async def _enter(self, judge: Callable[[Landmark, datetime | None], Loss | None]) -> None:
        """Judge again, alone among all instances, and do what follows in the same commit."""
        async with self._one_at_a_time:
            connection = await self._connecting.connect()
            try:
                with translated(committing=True):
                    async with connection.transaction():
                        await connection.fetch("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
                        loss = judge(*await self._sight(connection.fetch))
                        if loss is not None:
                            await self._record(connection, loss)
                    seen, _ = await self._sight(connection.fetch)
            finally:
                connection.terminate()
            self._memory.start_anew(seen)
            if loss is not None:
                self._tell(loss, seen)

    async def _record(self, connection: Any, loss: Loss) -> None:
        await connection.fetch(_RAISE, LEADER, loss.above, loss.is_news, _ended_by(loss))
        if loss.is_news:
            me = self._connecting.holder.instance
            facts = (me, loss.kind.code, loss.kind.value, self._doubtful_ms)
            await connection.fetch(_NOTICE, *facts)
            await connection.fetch(PUT_IN_DOUBT)

    def _tell(self, loss: Loss, seen: Landmark) -> None:
        self._history.write_up(LEADER)
        log.critical(
            "authority.lost" if loss.is_news else "authority.lost_before",
            kind=loss.kind.code,
            found=loss.kind.value,
            above=loss.above,
            epoch=seen.epoch,
        )


def _ended_by(loss: Loss) -> str:
    """As the history has it: CTL-7 has a word of its own."""
    return SPLIT_BRAIN if loss.kind is LossKind.WITNESS_AHEAD else ENDED_BY


def _witnessed(seen: Landmark, above: Epoch) -> Loss | None:
    if seen.epoch >= above:
        return None
    return Loss(kind=LossKind.WITNESS_AHEAD, above=above, is_news=True)
