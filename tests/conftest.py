"""One real PostgreSQL for the whole session, and a fresh database on it for each test."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import signal
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from onefill.embedded.server import EmbeddedPostgres

# A busy machine is no failure: properties are judged by what holds, never by how long it took.
settings.register_profile("onefill", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("onefill")

_T = TypeVar("_T")
_TEMPLATE = "template_of_tests"


class PostgresServer:
    """An embedded server on an event loop of its own, so that any kind of test can use it.

    Its thread lives as long as the session: the server would end with it.
    """

    def __init__(self, data: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres of tests")
        self._server = EmbeddedPostgres(data)
        self._numbers = itertools.count(1)
        self._has_template = False

    @property
    def url(self) -> str:
        """The address of its database `postgres`."""
        return self._server.url

    def url_of(self, database: str) -> str:
        """The address of one of its databases."""
        return self._server.url_of(database)

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self._thread.start()
        self._run(self._server.start())

    def stop(self) -> None:
        """End the server and its thread."""
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def crash(self) -> None:
        """Kill the server, and start it again at the same address."""
        pid = self._server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._run(self._server.ended())
        self._run(self._server.restart_if_dead())

    def restart(self) -> None:
        """Stop the server in order, and start it again at the same address."""
        self._run(self._server.stop())
        self._run(self._server.start())

    def create_database(self) -> str:
        """Make a new database with the product's tables, and return its name."""
        if not self._has_template:
            self._run(self._create_template())
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        self._run(self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._run(self._execute(f"DROP DATABASE {name} WITH (FORCE)"))

    async def _create_template(self) -> None:
        await self._execute(f"CREATE DATABASE {_TEMPLATE}")
        if find_spec("onefill.postgres.migrate") is not None:
            migrations = importlib.import_module("onefill.postgres.migrate")
            await migrations.migrate(self.url_of(_TEMPLATE))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL, durable like the product's own; started when first asked for."""
    with tempfile.TemporaryDirectory(prefix="onefill-tests-") as folder:
        server = PostgresServer(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh, migrated database, dropped after the test."""
    name = postgres_server.create_database()
    yield postgres_server.url_of(name)
    postgres_server.drop_database(name)
