"""ports.vigil.Vigil by advisory locks of sessions: the server frees them when a process dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

import asyncpg

from onefill.core.errors import StoreUnavailable
from onefill.ports.clock import Clock
from onefill.postgres.connecting import Connecting
from onefill.postgres.faults import translated

_log = logging.getLogger(__name__)
_AGAIN_S = 0.5
_LOOK_S = 5.0

_HOLD = "SELECT pg_try_advisory_lock($1) AS held, pg_backend_pid() AS pid"
_WAIT = "SELECT pg_advisory_lock_shared($1), pg_advisory_unlock_shared($1)"
_PID = "SELECT pg_backend_pid()"


def session_key(boot: UUID) -> int:
    """The advisory lock of that process: 64 bits of its boot id."""
    return int.from_bytes(boot.bytes[:8], "big", signed=True)


def session_has_ended(column: str) -> str:
    """SQL: whether nobody keeps the lock of that key; false where the key is null."""
    return f"""({column} IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND mode = 'ExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = {column}))"""


class PostgresVigil:
    """An own, idle, direct session holds the lock; another one waits for somebody else's."""

    def __init__(self, connecting: Connecting, clock: Clock) -> None:
        self._connecting = connecting
        self._clock = clock
        self._own = session_key(connecting.holder.boot)
        self._is_held = False

    @property
    def key(self) -> int | None:
        """The key by which others see this process live; None while it can't be seen."""
        return self._own if self._is_held else None

    async def run(self) -> None:
        """Hold the lock, again after each break, until cancelled; not behind a pooler."""
        if self._connecting.pooled:
            return
        while True:
            try:
                await self._hold()
            except StoreUnavailable as error:
                _log.info("the session that shows this process's life broke: %s", error)
            finally:
                self._is_held = False
            await self._clock.sleep(_AGAIN_S)

    async def ended(self, boot: UUID) -> None:
        """Wait in the server until that process's lock is free; for ever behind a pooler."""
        if self._connecting.pooled:
            await asyncio.Event().wait()
        connection = await self._connecting.connect_idle()
        try:
            with translated():
                await connection.fetch(_WAIT, session_key(boot))
        finally:
            connection.terminate()

    async def _hold(self) -> None:
        connection = await self._connecting.connect_idle()
        try:
            with translated():
                row = await connection.fetchrow(_HOLD, self._own)
                if row["held"] and not await self._is_pooled(connection, row["pid"]):
                    self._is_held = True
                while not await _breaks(connection):
                    await connection.fetchval(_PID, timeout=_LOOK_S)
        finally:
            connection.terminate()

    async def _is_pooled(self, connection: asyncpg.Connection, pid: int) -> bool:
        """Whether a pooler hands one server session to several clients: then no lock is ours."""
        other = await self._connecting.connect_idle()
        try:
            pooled: bool = (
                await other.fetchval(_PID) == pid or await connection.fetchval(_PID) != pid
            )
        finally:
            with contextlib.suppress(OSError):
                other.terminate()
        if pooled:
            _log.warning(
                "a transaction pooler stands before PostgreSQL: a dead leader is noticed only when "
                "its lease runs out; give onefill a direct address, or set database.pooled"
            )
        return bool(pooled)


async def _breaks(connection: asyncpg.Connection) -> bool:
    """Whether the session ends before it is time to ask whether it still answers."""
    broken = asyncio.Event()
    connection.add_termination_listener(lambda _: broken.set())
    try:
        async with asyncio.timeout(_LOOK_S):
            await broken.wait()
    except TimeoutError:
        return bool(connection.is_closed())
    return True
