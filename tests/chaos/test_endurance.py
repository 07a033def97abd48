"""Minutes of random faults on three instances, Redis and the lines between, from a printed seed."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.judge import ENDS, judge
from chaos.shared_redis import RedisWorld, redis_world
from chaos.traffic import traffic
from chaos.world import World
from support import until
from wires import Wire, wire_to_postgres

NAMES = ("a", "b", "c")
SEED = int(os.environ.get("ONEFILL_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FAULTS = int(os.environ.get("ONEFILL_CHAOS_FAULTS", "40"))
"""For each class. Each fault that hits the leader costs it the lead: 300 faults, ~120 takeovers."""

KINDS = {
    "kill": 5,
    "take": 4,
    "pause": 3,
    "force": 1,
    "cut the database": 2,
    "freeze the database": 1,
    "cut redis": 1,
    "flush redis": 1,
    "restart redis": 1,
    "lose a reply": 2,
    "stop": 1,
}


@dataclass(frozen=True)
class Fault:
    """One line of the schedule. lasts_s: until it is mended, where it is one that lasts."""

    kind: str
    victim: str
    lasts_s: float
    rest_s: float


def schedule_of(seed: int, faults: int) -> list[Fault]:
    """The same for the same seed, on every machine."""
    chance = random.Random(seed)
    return [
        Fault(
            kind=chance.choices(list(KINDS), list(KINDS.values()))[0],
            victim=chance.choice(("leader", "leader", *NAMES)),
            lasts_s=round(chance.uniform(0.2, 3.0), 2),
            rest_s=round(chance.uniform(0.0, 0.8), 2),
        )
        for _ in range(faults)
    ]


class Villain:
    """Carries a schedule out. Each fault is over, and its victim back, before the next begins."""

    def __init__(self, given: RedisWorld, lines: dict[str, tuple[Wire, str]]) -> None:
        self._given = given
        self._here: World = given.world
        self._lines = lines
        self.done: Counter[str] = Counter()

    async def start(self, name: str) -> None:
        """Start an instance on its own lines, and wait until it is ready."""
        variables = {
            "ONEFILL_ACTIVE_BY_DEFAULT": "true" if name == NAMES[0] else "false",
            "ONEFILL_DATABASE_URL": self._lines[name][1],
            "ONEFILL_REDIS_URL": self._given.urls[name],
        }
        self._here[name].start({**self._here.environment, **variables})
        await self._here[name].up()

    async def carry_out(self, schedule: Sequence[Fault]) -> None:
        """All of it, in order; afterwards somebody leads."""
        for fault in schedule:
            leader = await self.leader()
            victim = leader if fault.victim == "leader" else fault.victim
            await self._do(fault, victim)
            self.done[fault.kind] += 1
            await asyncio.sleep(fault.rest_s)
        await self.leader()

    async def leader(self) -> str:
        """Who is active, as soon as one is: it comes back by itself, always."""

        async def found() -> str | None:
            for name in NAMES:
                if (await self._here.status(name))["is_active"]:
                    return name
            return None

        name = await until(found)
        assert name is not None
        return name

    async def _do(self, fault: Fault, victim: str) -> None:
        server = self._here[victim]
        match fault.kind:
            case "kill":
                server.kill()
                await self.start(victim)
            case "stop":
                await asyncio.to_thread(server.stop)
                await self.start(victim)
            case "pause":
                server.pause()
                await asyncio.sleep(fault.lasts_s)
                server.resume()
            case "take" | "force":
                taker = NAMES[(NAMES.index(victim) + 1) % len(NAMES)]
                body = {"force": fault.kind == "force"}
                await self._here.ask(taker, "/api/ginie/take-control", body)
            case "lose a reply":
                await self._here.fault(kind="drop_reply", next=1)
            case _:
                await self._disturb(fault, victim)

    async def _disturb(self, fault: Fault, victim: str) -> None:
        database, redis = self._lines[victim][0], self._given.redis
        match fault.kind:
            case "cut the database":
                database.cut()
                await asyncio.sleep(fault.lasts_s)
            case "freeze the database":
                database.freeze()
                await asyncio.sleep(fault.lasts_s)
                database.cut()
            case "cut redis":
                self._given.wires[victim].cut()
                await asyncio.sleep(fault.lasts_s)
                self._given.wires[victim].mend()
            case "flush redis":
                redis.flush()
            case "restart redis":
                redis.kill()
                await asyncio.sleep(fault.lasts_s)
                redis.start()
                await redis.up()
        database.mend()


async def at_rest(here: World) -> None:
    """Wait until no signal can go on: ended, or waiting for a person's word about an order."""
    query = """
        SELECT count(*) FROM signal_log s WHERE processing_status <> ALL($1) AND NOT EXISTS (
            SELECT FROM order_intents i WHERE i.lane = s.lane AND i.state = 'QUARANTINED')"""

    async def rests() -> bool:
        return bool((await here.rows(query, sorted(ENDS)))[0]["count"] == 0)

    await until(rests, 120)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.req("Q-1", "CTL-1", "CTL-5", "CTL-6", "CTL-10", "CTL-18", "ORD-3", "ORD-7")
@pytest.mark.parametrize("mode", ["active-active", "active-standby"])
@pytest.mark.parametrize("order_class", ["A", "B", "C"])
async def test_under_random_faults_nothing_is_doubled_or_lost_and_somebody_leads_again(
    database_url: str, tmp_path: Path, order_class: str, mode: str
) -> None:
    print(f"ONEFILL_CHAOS_SEED={SEED} ONEFILL_CHAOS_FAULTS={FAULTS}")
    schedule = schedule_of(SEED, FAULTS)
    async with (
        wire_to_postgres(database_url) as a,
        wire_to_postgres(database_url) as b,
        wire_to_postgres(database_url) as c,
        redis_world(
            *(database_url, tmp_path, *NAMES),
            is_patient=False,
            order_class=order_class,
            ONEFILL_MODE=mode,
        ) as given,
    ):
        here = given.world
        villain = Villain(given, dict(zip(NAMES, (a, b, c), strict=True)))
        for name in NAMES:
            await villain.start(name)
        async with traffic(here, *NAMES, lanes=60, a_second=10) as sender:
            await villain.carry_out(schedule)
        await at_rest(here)
        await here.until_told()
        seen = await judge(
            database_url,
            here.venue.url,
            signals=sender.sent,
            acknowledged=sender.acknowledged,
            may_quarantine=order_class == "C",
        )
        print(
            f"{len(seen.reigns)} reigns, {sender.sent} signals, {len(seen.orders)} orders, "
            f"{dict(villain.done)}"
        )
