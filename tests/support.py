"""What many tests share: waiting for a condition, free ports, tools, onefill as a process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"

_T = TypeVar("_T")


async def until(condition: Callable[[], _T | Awaitable[_T]], seconds: float = 60.0) -> _T:
    """Wait until the condition (a plain or an async function) is true, and return its value.

    Fails the test after so many seconds: far more than it ever takes, as only a failure waits so
    long, and the machine may be busy. The only place in the tests that sleeps.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                value = condition()
                if inspect.isawaitable(value):
                    value = await value
                if value:
                    return value  # type: ignore[return-value]
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"not true within {seconds} s: {inspect.getsource(condition).strip()}")


_given_ports: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now. Prefer to bind port 0 where you can.

    Below those that the system hands out by itself, so that no connection of anybody's sits on it
    before its owner binds it, or while its owner is dead. The same one is never given again.
    """
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(limits.read_text().split()[0]) if limits.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(first // 2, first)
        if port in _given_ports:
            continue
        _given_ports.add(port)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def require(tool: str) -> str:
    """The path of a program that the test needs; without it the test is skipped, loudly.

    Where CI=true it fails instead: a suite that skips silently protects nothing.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(tool) or shutil.which(tool, path=f"{beside}:/usr/sbin")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is not installed, and CI has to have it")
    if found is None:
        print(f"\nSKIPPED: {tool} is not installed", file=sys.__stderr__)
        pytest.skip(f"{tool} is not installed")
    return found


def environment(**extra: str) -> dict[str, str]:
    """This process's environment for a child that imports onefill from the source tree."""
    paths = [str(SOURCE), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **extra}


@contextlib.contextmanager
def onefill(
    *arguments: str, env: Mapping[str, str] | None = None, output: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """`python -m onefill ...` as a process, its output in one text stream; killed at the end."""
    with script("-m", "onefill", *arguments, env=env, output=output) as process:
        yield process


@contextlib.contextmanager
def script(
    *arguments: str, env: Mapping[str, str] | None = None, output: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """`python ...` as a process that can import onefill and the tests; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
