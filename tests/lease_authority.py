"""Every store of leases, behind one face for the contract's tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest

from memory_leases import MemoryLeaseStore
from onefill.ports.clock import RealClock
from onefill.ports.lease import Holder, LeaseStore
from redis_authority import RedisAuthority
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
