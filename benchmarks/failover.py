"""How long nobody is active: after a kill, after a pause, and during a takeover by hand.

    python benchmarks/failover.py [--full] [--times N]

Two instances on an embedded PostgreSQL and a paper venue; the leader is killed (P-4), stopped
with SIGSTOP, or asked to hand over (P-5), again and again. Time is taken from the act until the
successor says by itself that it is active; the history's own figures stand beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import aiohttp  # noqa: E402

from chaos.world import World, world  # noqa: E402
from onefill.embedded.server import EmbeddedPostgres  # noqa: E402
from onefill.postgres.migrate import migrate  # noqa: E402
from support import until  # noqa: E402

NAMES = ("prod", "dev")
BARS, WIDTH = 12, 40
Act = Callable[[World, str, str], Awaitable[None]]


class Seen:
    """Follows one instance's `/primary`, which needs neither a token nor the database."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def becomes_primary(self, limit_s: float = 30) -> float:
        """The moment (boot clock, seconds) at which it first says that it is active."""
        async with asyncio.timeout(limit_s):
            while True:
                async with self._session.get(f"{self._url}/primary") as answer:
                    if answer.status == 200:
                        return time.monotonic()
                await asyncio.sleep(0.001)


async def kill(here: World, leader: str, successor: str) -> None:
    """P-4: the process is gone."""
    os.kill(here[leader].pid, signal.SIGKILL)


async def pause(here: World, leader: str, successor: str) -> None:
    """The process lives and does nothing."""
    here[leader].pause()


async def take(here: World, leader: str, successor: str) -> None:
    """P-5: a person asks for control."""
    status, answer = await here.ask(successor, "/api/ginie/take-control", {})
    assert status == 202, answer


async def measure(here: World, act: Act, times: int) -> list[float]:
    """The milliseconds from the act until the successor is active, so many times."""
    found: list[float] = []
    leader, successor = NAMES
    async with aiohttp.ClientSession() as session:
        for number in range(times):
            started = time.monotonic()
            done = asyncio.create_task(act(here, leader, successor))
            active_at = await Seen(session, here[successor].url).becomes_primary()
            await done
            found.append((active_at - started) * 1000)
            await _restore(here, act, leader)
            leader, successor = successor, leader
            print(f"\r{act.__name__}: {number + 1}/{times}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


async def _restore(here: World, act: Act, old: str) -> None:
    """The old leader is back as a standby that is ready."""
    if act is kill:
        await here.run(old, ONEFILL_ACTIVE_BY_DEFAULT="false")
    elif act is pause:
        here[old].resume()

    async def follows() -> bool:
        seen = await here.status(old)
        return seen["state"] == "STANDBY" and bool(seen["other_alive"])

    await until(follows, 30)
    await asyncio.sleep(0.3)


def show(title: str, found: Sequence[float]) -> None:
    """The distribution with bars."""
    ordered = sorted(found)
    p50 = statistics.median(ordered)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"\n{title}: {len(found)} times")
    print(
        f"  least {ordered[0]:.1f} ms   p50 {p50:.1f} ms   p99 {p99:.1f} ms   "
        f"most {ordered[-1]:.1f} ms"
    )
    least, step = ordered[0], max((ordered[-1] - ordered[0]) / BARS, 0.1)
    counts = [0] * BARS
    for value in ordered:
        counts[min(BARS - 1, int((value - least) / step))] += 1
    for index, count in enumerate(counts):
        bar = "█" * round(count / max(counts) * WIDTH)
        print(f"  {least + index * step:8.1f} ms │{bar} {count or ''}")


async def run(times: int) -> None:
    """All three, in both modes' default (active-active)."""
    with tempfile.TemporaryDirectory(prefix="onefill-failover-") as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as postgres:
            await migrate(postgres.url)
            async with world(postgres.url, Path(folder)) as here:
                await here.run(*NAMES)
                await here.until_active("prod")
                await asyncio.sleep(1)
                for title, act in (
                    ("Takeover by hand (P-5)", take),
                    ("Failover after SIGKILL (P-4)", kill),
                    ("Failover after SIGSTOP, lease 1200 ms", pause),
                ):
                    show(title, await measure(here, act, times))
                    if (await here.status("prod"))["is_active"] is False:
                        await here.ask("prod", "/api/ginie/take-control", {})
                        await here.until_active("prod")
                        await asyncio.sleep(1)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="A hundred times each.")
    parser.add_argument("--times", type=int, default=10, help="How often each (default 10).")
    options: Any = parser.parse_args()
    asyncio.run(run(100 if options.full else options.times))


if __name__ == "__main__":
    main()
