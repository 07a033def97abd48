"""Real processes for chaos: started, killed, started again; each with a log of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

import support


class Server:
    """`python -m onefill …` with a probe that says when it is up. before: what execs it."""

    def __init__(
        self,
        arguments: Sequence[str],
        url: str,
        probe: str,
        log: Path,
        *,
        before: Sequence[str] = (),
    ) -> None:
        self.url = url
        self.log = log
        self._arguments = [*before, sys.executable, "-m", "onefill", *arguments]
        self._probe = url + probe
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process of the latest start."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it, with these variables besides the ones of this process."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments,
                env=support.environment(**(environment or {})),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def pause(self) -> None:
        """SIGSTOP: it lives, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def ended(self, seconds: float = 120) -> int:
        """Wait until it ends; its exit code (negative: by that signal)."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)

    def stop(self) -> int:
        """SIGTERM, and wait for the end; kill it when it does not come."""
        if self._process is None:
            return 0
        if self.is_running:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    async def up(self, seconds: float = 120) -> None:
        """Wait until the probe answers 200. Fails with the end of the log when it dies first."""
        async with aiohttp.ClientSession() as session:

            async def answers() -> bool:
                assert self.is_running, f"it ended: {self.tail()}"
                try:
                    async with session.get(self._probe) as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    return False

            await support.until(answers, seconds)

    async def listens(self) -> None:
        """Wait until it is loaded, and has its port: it begins to act now."""
        where = urlsplit(self.url)

        async def connects() -> bool:
            assert self.is_running, f"it ended: {self.tail()}"
            try:
                _, writer = await asyncio.open_connection(where.hostname, where.port)
            except OSError:
                return False
            writer.close()
            return True

        await support.until(connects, 120)

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def logged(self, pattern: str) -> bool:
        """Whether a line of its log matches."""
        return re.search(pattern, self.log.read_text(errors="replace")) is not None
