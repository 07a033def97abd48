"""A real PostgreSQL for tests, which can be stopped, killed, paused, and put back to a copy."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import os
import shutil
import signal
import threading
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from onefill.embedded.server import EmbeddedPostgres

_T = TypeVar("_T")
_TEMPLATE = "template_of_tests"


class PostgresServer:
    """An embedded server on an event loop of its own, so that any kind of test can use it.

    Its thread lives as long as the session: the server would end with it.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
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
        os.kill(self._pid, signal.SIGKILL)
        self._run(self._server.ended())
        self._run(self._server.restart_if_dead())

    def restart(self) -> None:
        """Stop the server in order, and start it again at the same address."""
        self._run(self._server.stop())
        self._run(self._server.start())

    def halt(self) -> None:
        """Stop the server in order; it stays down until `go`."""
        self._run(self._server.stop())

    def kill(self) -> None:
        """Kill the server; it stays down until `go`."""
        os.kill(self._pid, signal.SIGKILL)
        self._run(self._server.ended())

    def go(self) -> None:
        """Start it again at the same address."""
        self._run(self._server.stop())
        self._run(self._server.start())

    def pause(self) -> None:
        """Stop all of its processes where they are; connections stay open, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def copy_to(self, folder: Path) -> None:
        """A copy of its whole data, as of a clean stop; it runs again afterwards."""
        self.halt()
        shutil.copytree(self._cluster, folder)
        self.go()

    def put_back(self, folder: Path, *, promoted: bool = False) -> None:
        """Run on that copy from now on: what was written since is lost.

        promoted: as after a recovery to a point in time, on a new timeline.
        """
        self.halt()
        shutil.rmtree(self._cluster)
        shutil.copytree(folder, self._cluster)
        if promoted:
            (self._cluster / "recovery.signal").touch()
            with (self._cluster / "postgresql.auto.conf").open("a") as settings:
                settings.write("restore_command = 'false'\n")
        self.go()

    @property
    def _cluster(self) -> Path:
        return self._data / "cluster"

    @property
    def _pid(self) -> int:
        pid = self._server.pid
        assert pid is not None
        return pid

    def _signal_all(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        for pid in (self._pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def create_database(self) -> str:
        """Make a new database with the product's tables, and return its name."""
        if not self._has_template:
            self._run(self._create_template())
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        self._run(self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
        return name

    def create_bare_database(self) -> str:
        """Make a new database with nothing in it, and return its name."""
        name = f"bare_{next(self._numbers)}"
        self._run(self._execute(f"CREATE DATABASE {name}"))
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
