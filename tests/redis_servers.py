"""Real servers for tests: the Valkey of the wheel, and Debian's redis-server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import support
from onefill.embedded.valkey import SETTINGS, program_path

KINDS = ("valkey", "redis")


class RedisServer:
    """One server on a socket below a folder: killed, stopped and started as a test likes."""

    def __init__(self, program: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = program
        self.folder = folder
        self._socket = folder / "s"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, the same over restarts."""
        return f"unix://{self._socket}"

    def client(self) -> redis.Redis:
        """An ordinary client that waits."""
        return redis.Redis.from_url(self.url, socket_timeout=60)

    def start(self, *options: str) -> None:
        """Start it; it may not answer yet."""
        where = ("--dir", str(self.folder), "--unixsocket", str(self._socket))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *where, *SETTINGS, *options], stdout=log, stderr=log
            )

    async def up(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1)
                    probe.connect(str(self._socket))
                    probe.sendall(b"PING\r\n")
                    return probe.recv(7) == b"+PONG\r\n"
            except OSError:
                return False

        await support.until(answers)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it is there and says nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def flush(self) -> None:
        """FLUSHALL."""
        with contextlib.closing(self.client()) as client:
            client.flushall()


def program_of(kind: str) -> str:
    """The program of that kind of server; skips the test where there is none."""
    return str(program_path()) if kind == "valkey" else support.require("redis-server")


@contextlib.contextmanager
def redis_server_of(kind: str, folder: Path, *options: str) -> Iterator[RedisServer]:
    """A started server; gone afterwards."""
    server = RedisServer(program_of(kind), folder)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=KINDS)
async def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> object:
    """A server that answers, of each kind."""
    with redis_server_of(request.param, tmp_path_factory.mktemp("redis")) as server:
        await server.up()
        yield server
