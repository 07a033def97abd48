"""Child processes that die with their parent, and a small supervisor that starts one again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import IO, Literal

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a child is: the `same` user, a `user` (from root), or a user inside a `namespace`."""

    kind: Literal["same", "namespace", "user"] = "same"
    uid: int = -1
    gid: int = -1

    def __str__(self) -> str:
        return self.kind if self.kind == "same" else f"{self.kind}:{self.uid}:{self.gid}"


SAME = Identity()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended and what it said, standard output and error together."""

    code: int
    text: str


async def spawn(
    argv: Sequence[str | Path],
    *,
    identity: Identity = SAME,
    death_signal: Signals = signal.SIGTERM,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    output: int | IO[bytes] | None = None,
) -> asyncio.subprocess.Process:
    """Start a direct child that gets `death_signal` when this process dies, even by kill -9.

    It has a session of its own, so that a terminal's Ctrl-C reaches only us. The signal also
    comes when the thread that called this ends (a rule of Linux): call it from a thread, and so
    from an event loop, that lives as long as the child. Elsewhere than on Linux no signal comes.
    """
    return await asyncio.create_subprocess_exec(
        *_launcher(identity, death_signal, folder),
        *argv,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT if output is not None else None,
        start_new_session=True,
    )


async def run(
    argv: Sequence[str | Path],
    *,
    identity: Identity = SAME,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program to its end; it is killed if this call is cancelled."""
    child = await spawn(
        argv,
        identity=identity,
        death_signal=signal.SIGKILL,
        folder=folder,
        env=env,
        output=asyncio.subprocess.PIPE,
    )
    try:
        text, _ = await child.communicate()
        return Finished(await child.wait(), text.decode(errors="replace").strip())
    finally:
        await end(child, (signal.SIGKILL, 5.0))


async def end(child: asyncio.subprocess.Process, *steps: tuple[Signals, float]) -> None:
    """Send each signal and give it so many seconds; the last of them should be one that kills."""
    for number, limit_s in steps:
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), limit_s)


class Supervised:
    """A child that is started again whenever it ends, as long as `on_exit` says so.

    on_exit(name, exit code) returns the seconds until the next start, or None to leave it dead;
    a negative code is the number of the signal that killed it.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        on_exit: Callable[[str, int], float | None],
        output: IO[bytes] | None = None,
    ) -> None:
        self.name = name
        self._argv = argv
        self._env = env
        self._on_exit = on_exit
        self._output = output
        self._child: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process, None while there is none."""
        alive = self._child is not None and self._child.returncode is None
        return self._child.pid if alive and self._child else None

    async def start(self) -> None:
        """Start the child; from now on it is kept running."""
        child = await self._spawn()
        self._watch = asyncio.create_task(self._keep(child), name=f"watch {self.name}")

    async def stop(self, limit_s: float = 10.0) -> None:
        """End the child for good: SIGTERM, and SIGKILL after so many seconds."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._child is not None:
            await end(self._child, (signal.SIGTERM, limit_s), (signal.SIGKILL, limit_s))

    async def _keep(self, child: asyncio.subprocess.Process) -> None:
        while (pause_s := self._on_exit(self.name, await child.wait())) is not None:
            await asyncio.sleep(pause_s)
            child = await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._child = await spawn(self._argv, env=self._env, output=self._output)
        return self._child


def _launcher(identity: Identity, death_signal: Signals, folder: Path | None) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCHER),
        str(identity),
        str(int(death_signal)),
        str(os.getpid()),
        str(folder or ""),
    ]
