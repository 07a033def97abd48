"""P-4, P-5, P-6: how long nobody is active, and how late the other instance knows of a position.

Two instances as processes of their own on one PostgreSQL, active-active as by default, and a paper
exchange. A time counts from the act (a signal sent to the process, the network cut, the click)
until the successor itself says that it is active; each is asked a thousand times a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from figures import Limits, Row, percentile
from stage import Stage

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / part) for part in ("src", "tests")]

from chaos.traffic import traffic  # noqa: E402
from chaos.world import OPERATOR, World, direct, send_until_accepted, world  # noqa: E402
from support import until  # noqa: E402
from wires import Wire, wire_to_postgres  # noqa: E402

TIMES, TIMES_FULL = 10, 100
UNDER_LOAD_A_SECOND = 50
POLL_S = 0.002
TAKE = "/api/ginie/take-control"
NAMES = ("prod", "dev")


@dataclass(frozen=True)
class Pair:
    """Two instances that can take the lead from each other, each on a line of its own."""

    world: World
    wires: dict[str, Wire]
    urls: dict[str, str]

    async def run(self, name: str) -> None:
        """Start it, and wait until it is ready."""
        preferred = "true" if name == NAMES[0] else "false"
        await self.world.run(
            name,
            ONEFILL_DATABASE_URL=self.urls[name],
            ONEFILL_ACTIVE_BY_DEFAULT=preferred,
            ONEFILL_LEASE__FLAP_DAMPING="false",
        )


Act = Callable[[Pair, str, str], Awaitable[None]]


async def kill(pair: Pair, leader: str, successor: str) -> None:
    """The process is gone."""
    os.kill(pair.world[leader].pid, signal.SIGKILL)


async def pause(pair: Pair, leader: str, successor: str) -> None:
    """The process lives and does nothing."""
    pair.world[leader].pause()


async def cut(pair: Pair, leader: str, successor: str) -> None:
    """Every packet between the leader and the database is swallowed."""
    pair.wires[leader].freeze()


async def click(pair: Pair, leader: str, successor: str) -> None:
    """A person asks for control."""
    status, answer = await pair.world.ask(successor, TAKE, {})
    assert status == 202, answer


async def force(pair: Pair, leader: str, successor: str) -> None:
    """A person takes it from one that does not answer."""
    pair.world[leader].pause()
    status, answer = await pair.world.ask(successor, TAKE, {"force": True})
    assert status == 202, answer


async def p4(stage: Stage) -> list[Row]:
    """Failovers."""
    rows: list[Row] = []
    limits = {"p50": Limits(300, 150, 20), "p99": Limits(1500, 1000, 100)}
    async with _pair(stage, "p4") as pair:
        rows += _rows("P-4", "failover after SIGKILL", await _times(stage, pair, kill), **limits)
        for title, act in (("SIGSTOP", pause), ("a cut network", cut)):
            found = await _times(stage, pair, act)
            work = f"failover after {title} (first target 3 s)"
            rows += _rows("P-4", work, found, most=Limits(2500, 2000, 1320))
    return rows


async def p5(stage: Stage) -> list[Row]:
    """Takeovers by hand."""
    async with _direct_pair(stage, "p5") as pair:
        idle = await _times(stage, pair, click)
        async with traffic(pair.world, *NAMES, a_second=UNDER_LOAD_A_SECOND):
            busy = await _times(stage, pair, click)
        forced = await _times(stage, pair, force)
    load = f"takeover at {UNDER_LOAD_A_SECOND} signals/s"
    return [
        *_rows(
            "P-5",
            "takeover, idle (first target 5 s)",
            idle,
            p50=Limits(150, 50, 5),
            p99=Limits(1000, 250, 30),
        ),
        *_rows("P-5", load, busy, p50=Limits(300, 150, 30), p99=Limits(2000, 1000, 150)),
        *_rows("P-5", "forced (first target 2 s)", forced, most=Limits(2000, 1000, 150)),
    ]


async def p6(stage: Stage) -> list[Row]:
    """From the booking of a fill by one instance until the other one's API shows the position."""
    times = 2 * (TIMES_FULL if stage.full else TIMES)
    async with _direct_pair(stage, "p6") as pair:
        stage.tell(f"P-6: {times} positions, seen by the other instance")
        # The first is not counted: a process asks its imports for what it shows first.
        found = [await _seen_after_ms(pair, number) for number in range(times + 1)][1:]
    work = "booked by one → shown by the other (first target 100 ms)"
    return _rows("P-6", work, found, p99=Limits(50, 20, 5))


async def _seen_after_ms(pair: Pair, number: int) -> float:
    """Polled every two milliseconds, so that asking does not slow down what is asked for: one
    more on average, and the answer's own time, are counted in."""
    symbol = f"SIM{number % 100 + 1:03d}"
    held = number // 100 + 1
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    shown = f"{pair.world['dev'].url}/api/positions?instrument={symbol}"
    async with aiohttp.ClientSession(headers=headers) as session:
        body = direct(f"p{number}", symbol)
        await send_until_accepted(session, pair.world["prod"].url, body)
        while True:
            async with session.get(shown) as answer:
                document = await answer.json()
            seen_at = datetime.now(UTC)
            legs = [leg for item in document["items"] for leg in item["legs"]]
            if sum(float(leg["net"]) for leg in legs) >= held:
                break
            await asyncio.sleep(POLL_S)
    (booked,) = await pair.world.rows(
        "SELECT max(booked_at) AS at FROM fills WHERE symbol = $1", symbol
    )
    return max(0.0, (seen_at - booked["at"]).total_seconds() * 1000)


@asynccontextmanager
async def _pair(stage: Stage, name: str) -> AsyncIterator[Pair]:
    url = await stage.databases.fresh()
    folder = stage.folder / name
    folder.mkdir()
    async with (
        wire_to_postgres(url) as (first, first_url),
        wire_to_postgres(url) as (second, second_url),
        world(url, folder, is_patient=False) as here,
    ):
        urls = dict(zip(NAMES, (first_url, second_url), strict=True))
        pair = Pair(here, dict(zip(NAMES, (first, second), strict=True)), urls)
        for each in NAMES:
            await pair.run(each)
        await here.until_active(NAMES[0])
        yield pair


@asynccontextmanager
async def _direct_pair(stage: Stage, name: str) -> AsyncIterator[Pair]:
    """The same without lines to cut: each statement would pass through this process."""
    url = await stage.databases.fresh()
    folder = stage.folder / name
    folder.mkdir()
    async with world(url, folder, is_patient=False) as here:
        pair = Pair(here, {}, dict.fromkeys(NAMES, url))
        for each in NAMES:
            await pair.run(each)
        await here.until_active(NAMES[0])
        yield pair


async def _times(stage: Stage, pair: Pair, act: Act) -> list[float]:
    """The milliseconds from the act until the successor is active, so many times."""
    times = TIMES_FULL if stage.full else TIMES
    stage.tell(f"{times} times: {(act.__doc__ or '').strip()}")
    found: list[float] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            leader, successor = await _roles(pair)
            began = time.perf_counter()
            done = asyncio.create_task(act(pair, leader, successor))
            active_at = await _becomes_primary(session, pair.world[successor].url)
            await done
            found.append((active_at - began) * 1000)
            await _restore(pair, act, leader)
    return found


async def _roles(pair: Pair) -> tuple[str, str]:
    """Who leads, and who is ready to follow."""

    async def ready() -> tuple[str, str] | None:
        for leader, other in (NAMES, NAMES[::-1]):
            seen = await pair.world.status(other)
            follows = seen["state"] == "STANDBY" and bool(seen["other_alive"])
            if follows and (await pair.world.status(leader))["is_active"]:
                return leader, other
        return None

    found = await until(ready, 60)
    assert found is not None
    return found


async def _becomes_primary(session: aiohttp.ClientSession, url: str) -> float:
    """The moment at which it first says that it is active; needs no database, and no token."""
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{url}/primary") as answer:
                if answer.status == 200:
                    return time.perf_counter()
            await asyncio.sleep(0.001)


async def _restore(pair: Pair, act: Act, old: str) -> None:
    """The old leader is there again."""
    if act is kill:
        pair.world[old].kill()
        await pair.run(old)
    elif act in (pause, force):
        pair.world[old].resume()
    elif act is cut:
        pair.wires[old].cut()
        pair.wires[old].mend()
    await asyncio.sleep(0.3)


def _rows(
    requirement: str,
    work: str,
    found: Sequence[float],
    *,
    p50: Limits | None = None,
    p99: Limits | None = None,
    most: Limits | None = None,
) -> list[Row]:
    """The distribution, each figure by its limits where it has some."""
    note = f"{len(found)} times"
    return [
        Row(requirement, f"{work}: {name}", percentile(found, percent), "ms", limits, note=note)
        for name, percent, limits in (
            ("p50", 50, p50),
            ("p90", 90, None),
            ("p99", 99, p99),
            ("most", 100, most),
        )
    ]
