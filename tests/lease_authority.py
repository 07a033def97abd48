"""Every store of leases, behind one face for the contract's tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from memory_leases import MemoryLeaseStore
from onefill.ports.clock import RealClock
from onefill.ports.lease import Holder, LeaseStore
from onefill.redis.connection import RedisConnection
from onefill.redis.lease import RedisLeaseStore
from redis_servers import redis_server_of
from trading_support import PostgresAuthority, holder

KINDS = ("memory", "valkey", "redis", "postgres-18", "postgres-15")


class Authority(Protocol):
    """One store under test, through as many instances as a test wants."""

    def leases(self, me: Holder) -> LeaseStore:
        """The leases, as this instance sees them."""
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

    async def now(self) -> datetime:
        return self._clock.wall()


class RedisAuthority:
    """Each instance has connections of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connections: list[RedisConnection] = []

    def _connection(self) -> RedisConnection:
        connection = RedisConnection(self._url, RealClock(), call_timeout_ms=5_000)
        self._connections.append(connection)
        return connection

    def leases(self, me: Holder) -> RedisLeaseStore:
        return RedisLeaseStore(self._connection())

    async def now(self) -> datetime:
        seconds, microseconds = map(int, await self._connection().call("TIME"))
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()


class PostgresLeases(PostgresAuthority):
    """The trade path's authority, with its time."""

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
            redis = RedisAuthority(server.url)
            yield redis
            await redis.close()
