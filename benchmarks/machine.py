"""Processes under measurement, driven through the contract for outside harnesses (IF-13) alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from load import SECRET, Target

SOURCE = Path(__file__).resolve().parent.parent / "src"
OPERATOR = "bench-operator-01"
READY_WITHIN_S = 60.0


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A server as a child, its output in a file; ready when its probe answers 200."""

    def __init__(self, command: Sequence[str], port: int, probe: str, log: Path) -> None:
        self.target = Target("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._probe = probe
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self, environment: Mapping[str, str]) -> float:
        """Start it; the seconds from the start of the process to its first 200."""
        began = time.perf_counter()
        with self._log.open("ab") as output:
            self._child = subprocess.Popen(
                self._command,
                env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        await self.until(self._probe)
        return time.perf_counter() - began

    async def until(self, probe: str) -> None:
        """Wait until this probe answers 200."""
        async with asyncio.timeout(READY_WITHIN_S):
            while not await self._answers(probe):
                if self._child is None or self._child.poll() is not None:
                    raise SystemExit(f"it ended:\n{self._log.read_text()[-2000:]}")
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM; SIGKILL when it takes longer than 15 s."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(15)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    @property
    def memory_mb(self) -> float:
        """The memory that it holds now (resident set), in MB of 1,000,000 bytes."""
        assert self._child is not None
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024 / 1e6

    async def _answers(self, probe: str) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self.target.host, self.target.port)
        except OSError:
            return False
        try:
            writer.write(f"GET {probe} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return (await reader.readline()).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
        finally:
            writer.close()


def instance(folder: Path, name: str, role: str) -> Process:
    """`onefill serve`, not started yet."""
    port = free_port()
    command = [sys.executable, "-m", "onefill", "serve", "--port", str(port), "--role", role]
    command += ["--instance-id", name, "--data", str(folder / name)]
    return Process(command, port, "/ready", folder / f"{name}.log")


def settings(database_url: str, venue_url: str = "") -> dict[str, str]:
    """The environment of an instance under measurement."""
    given = {
        "ONEFILL_DATABASE_URL": database_url,
        "ONEFILL_WEBHOOK_SECRET": SECRET,
        "ONEFILL_OPERATOR_TOKEN": OPERATOR,
        "ONEFILL_RATE_LIMIT": "off",
        "ONEFILL_MARKET_HOURS": "off",
        "ONEFILL_MAX_AGE_S": "3600",
        "ONEFILL_LOG_FORMAT": "json",
    }
    return given | ({"ONEFILL_VENUE_URL": venue_url} if venue_url else {})


@asynccontextmanager
async def serving(
    folder: Path, name: str, database_url: str, *, role: str = "all", venue_url: str = ""
) -> AsyncIterator[Process]:
    """A ready instance, stopped afterwards."""
    process = instance(folder, name, role)
    try:
        await process.start(settings(database_url, venue_url))
        yield process
    finally:
        process.stop()


@asynccontextmanager
async def exchange(folder: Path) -> AsyncIterator[Process]:
    """A ready `onefill exchange`, stopped afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "onefill", "exchange", "--port", str(port)]
    command += ["--data", str(folder / "venue")]
    process = Process(command, port, "/healthz", folder / "venue.log")
    try:
        await process.start({})
        yield process
    finally:
        process.stop()
