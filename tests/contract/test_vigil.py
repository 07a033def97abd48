"""The death watch on real servers: it hears of an end at once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from onefill.core.errors import StoreUnavailable
from onefill.ports.clock import RealClock
from onefill.postgres.connecting import Connecting
from onefill.postgres.control.vigil import PostgresVigil
from support import until
from trading_support import holder
from wires import wire_to_postgres

LEADER, WATCHER = holder("leader"), holder("watcher")
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()"""


@pytest.fixture(params=["postgres-18", "postgres-15"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database."""
    older = request.param == "postgres-15"
    server: Any = request.getfixturevalue("older_postgres_server" if older else "postgres_server")
    name = server.create_database()
    yield server.url_of(name)
    server.drop_database(name)


@contextlib.asynccontextmanager
async def living_leader(url: str) -> AsyncIterator[asyncio.Task[None]]:
    """A process whose lock others see; cancelled, it is as dead as killed."""
    vigil = PostgresVigil(Connecting(url=url, holder=LEADER), RealClock())
    life = asyncio.create_task(vigil.run())
    await until(lambda: vigil.key is not None)
    try:
        yield life
    finally:
        life.cancel()
        await asyncio.wait({life})


@contextlib.asynccontextmanager
async def watch(url: str, through: str | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """Somebody else's watch over the leader, as soon as it waits in the server."""
    vigil = PostgresVigil(Connecting(url=through or url, holder=WATCHER), RealClock())
    watching = asyncio.create_task(vigil.ended(LEADER.boot))
    try:
        await until(lambda: waiting(url))
        yield watching
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def waiting(url: str) -> int:
    """How many sessions wait for a lock."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(WAITING))
    finally:
        await connection.close()


async def none_waits(url: str) -> bool:
    """Whether no session waits."""
    return await waiting(url) == 0


@pytest.mark.req("CTL-5")
async def test_a_watch_ends_with_the_process_that_it_watches(url: str) -> None:
    async with living_leader(url) as life, watch(url) as watching:
        life.cancel()
        await asyncio.wait_for(watching, 60)


@pytest.mark.req("CTL-5", "OPS-3")
async def test_a_watch_that_is_given_up_leaves_no_session_behind(url: str) -> None:
    """A handover between two living instances ends a watch; so the server would fill up with
    sessions that wait for a lock that is kept."""
    async with living_leader(url):
        async with watch(url):
            pass
        await until(lambda: none_waits(url))


@pytest.mark.req("CTL-5", "CTL-10", "OPS-3")
async def test_a_watch_whose_line_broke_leaves_no_session_behind(url: str) -> None:
    async with living_leader(url), wire_to_postgres(url) as (line, through):
        async with watch(url, through) as watching:
            line.cut()
            with pytest.raises(StoreUnavailable):
                await watching
        await until(lambda: none_waits(url))
