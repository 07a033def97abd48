"""Instances that share one Redis and nothing else, the paper venue, and a sender."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from onefill.core.position import Position
from redis_servers import RedisServer, redis_server_of
from support import until

UP_WITHIN_S = 90
ENDS = {"executed", "ignored", "rejected", "blocked", "expired", "failed"}
KEY = "{onefill}:"


@dataclass(frozen=True)
class Shared:
    """What a scenario drives."""

    here: World
    redis: RedisServer

    async def run(self, *names: str, **variables: str) -> None:
        """Start these instances, the first one preferred, and wait until all are ready."""
        for name in names:
            preferred = "true" if name == names[0] else "false"
            environment = {**self.here.environment, **variables}
            self.here[name].start({**environment, "ONEFILL_ACTIVE_BY_DEFAULT": preferred})
            if name == names[0] and len(names) > 1:
                await self.here[name].listens()
        for name in names:
            await self.here[name].up(UP_WITHIN_S)

    def statuses(self) -> dict[int, str]:
        """How far each signal has come, as Redis has it."""
        with contextlib.closing(self.redis.client()) as client:
            last = int(client.hget(f"{KEY}store", "signals") or 0)
            found = {n: client.hget(f"{KEY}signal:{n}", "status") for n in range(1, last + 1)}
        return {number: (status or b"").decode() for number, status in found.items()}

    async def state_of(self, name: str, state: str) -> bool:
        """Whether that instance says that it is in this state."""
        return bool((await self.here.status(name))["state"] == state)

    async def until_executed(self, signals: int, seconds: float = UP_WITHIN_S) -> None:
        """Wait until so many signals are known, and all of them executed."""
        await until(lambda: list(self.statuses().values()) == ["executed"] * signals, seconds)

    def held(self) -> Decimal:
        """What all live positions hold together."""
        with contextlib.closing(self.redis.client()) as client:
            names = client.smembers(f"{KEY}positions")
            bodies = [client.hget(f"{KEY}position:{name.decode()}", "body") for name in names]
        positions = [msgspec.json.decode(body, type=Position) for body in bodies]
        return sum((leg.net for each in positions for leg in each.legs), Decimal(0))

    async def until_all_ended(self, seconds: float = UP_WITHIN_S) -> None:
        """Wait until every signal has an end status."""
        await until(lambda: set(self.statuses().values()) <= ENDS, seconds)

    async def executions(self) -> dict[str, int]:
        """How often each order was executed at the venue."""
        return dict(executions_by_order(await self.here.ledger()))

    async def send(self, name: str, body: bytes) -> dict[str, Any]:
        """One alert to one instance, until it is accepted."""
        async with aiohttp.ClientSession() as session:
            return await send_until_accepted(session, self.here[name].url, body)

    async def send_all(self, names: Sequence[str], signals: int, copies: int) -> set[int]:
        """Many alerts, some times each, to any of these; the numbers of the signals."""
        bodies = [direct(f"s{n}", f"SIM{n % 50 + 1:03d}") for n in range(signals)] * copies
        chance = random.Random(7)
        chance.shuffle(bodies)
        timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=8)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            sends = (
                send_until_accepted(session, self.here[chance.choice(names)].url, body, 600)
                for body in bodies
            )
            answers = await asyncio.gather(*sends)
        return {int(answer["signal_id"]) for answer in answers}


@asynccontextmanager
async def shared(folder: Path, kind: str = "valkey", **more: str) -> AsyncIterator[Shared]:
    """A Redis and a venue; the instances are not started yet."""
    with redis_server_of(kind, folder / "redis") as redis:
        await redis.up()
        variables = {
            "ONEFILL_TOPOLOGY": "shared-redis",
            "ONEFILL_MODE": "active-standby",
            "ONEFILL_REDIS_URL": redis.url,
            **more,
        }
        async with world("", folder, **variables) as here:
            yield Shared(here, redis)
