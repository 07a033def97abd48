"""Every store of leases, behind one face for the contract's tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest

from memory_leases import MemoryLeaseStore
from onefill.node.coordination import History
from onefill.ports.clock import RealClock
from onefill.ports.lease import Holder, LeaseStore
from onefill.postgres.connection import Held
from onefill.postgres.control.history import LeadershipHistory
from onefill.postgres.control.lease import PostgresLeaseStore
from onefill.redis.control.history import RedisHistory
from onefill.redis.control.instances import RedisInstances
from onefill.redis.control.lease import RedisLeaseStore
from redis_authority import RedisAuthority
from redis_servers import redis_server_of
from trading_support import PostgresAuthority, holder

KINDS = ("memory", "valkey", "redis", "postgres-18", "postgres-15")


class Authority(Protocol):
    """One store under test, through as many instances as a test wants."""

    def leases(self, me: Holder) -> LeaseStore:
        """The leases, as this instance sees them."""
        ...

    def doomed_leases(self, me: Holder) -> LeaseStore:
        """The same of an instance that is dead as soon as it has its answer."""
        ...

    def history(self, me: Holder) -> History:
        """Who led when."""
        ...

    async def now(self) -> datetime:
        """The store's own time."""
        ...


class MemoryAuthority:
    """All instances share one dictionary."""

    def __init__(self) -> None:
        self._clock = RealClock()
        self._store = MemoryLeaseStore(self._clock)

    def leases(self, me: Holder) -> MemoryLeaseStore:
        return self._store

    def doomed_leases(self, me: Holder) -> MemoryLeaseStore:
        return self._store

    def history(self, me: Holder) -> MemoryLeaseStore:
        return self._store

    async def now(self) -> datetime:
        return self._clock.wall()


class _NeverWritten(LeadershipHistory):
    """Of a process that died before it came to it."""

    def __init__(self, held: Held) -> None:
        super().__init__(held, RealClock())

    def write_up(self, resource: str) -> None:
        """Dead."""


class RedisLeases(RedisAuthority):
    """The other topology's authority, with its history."""

    def doomed_leases(self, me: Holder) -> RedisLeaseStore:
        return self.leases(me)

    def history(self, me: Holder) -> RedisHistory:
        store = self.store()
        return RedisHistory(store, RedisInstances(store))


class PostgresLeases(PostgresAuthority):
    """The trade path's authority, with its time."""

    def doomed_leases(self, me: Holder) -> PostgresLeaseStore:
        return PostgresLeaseStore(self.held(me), self.held(me), _NeverWritten(self.held(me)))

    def history(self, me: Holder) -> LeadershipHistory:
        return LeadershipHistory(self.held(me), self.around.clock)

    async def now(self) -> datetime:
        return await self.trading(holder("clock")).now()


@contextlib.asynccontextmanager
async def authority_of(
    kind: str, request: pytest.FixtureRequest, folder: Path
) -> AsyncIterator[Authority]:
    """An empty store of that kind."""
    if kind == "memory":
        yield MemoryAuthority()
    elif kind.startswith("postgres"):
        older = kind == "postgres-15"
        server = request.getfixturevalue("older_postgres_server" if older else "postgres_server")
        name = server.create_database()
        postgres = PostgresLeases(server.url_of(name))
        yield postgres
        await postgres.close()
        server.drop_database(name)
    else:
        with redis_server_of(kind, folder) as server:
            await server.up()
            redis = RedisLeases(server.url)
            yield redis
            await redis.close()
