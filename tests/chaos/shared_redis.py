"""A world with a Redis beside the database, and a line of its own to it for each instance."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import support
from chaos.world import World, world
from redis_servers import RedisServer, redis_server_of
from wires import Wire, wire_to_redis


@dataclass(frozen=True)
class RedisWorld:
    """urls: of each instance's own line to Redis, by its name."""

    world: World
    redis: RedisServer
    wires: dict[str, Wire]
    urls: dict[str, str]

    async def run(self, *names: str, **variables: str) -> None:
        """Start these instances, the first one preferred, each with its own line; wait."""
        for name in names:
            preferred = "true" if name == names[0] else "false"
            await self.world.run(
                name,
                **{
                    "ONEFILL_REDIS_URL": self.urls[name],
                    "ONEFILL_ACTIVE_BY_DEFAULT": preferred,
                    **variables,
                },
            )

    async def until_seen(self, name: str, is_up: bool, seconds: float = 60) -> None:
        """Wait until that instance says that Redis is there, or is not."""

        async def says_so() -> bool:
            return (await self.world.status(name))["redis_connected"] is is_up

        await support.until(says_so, seconds)

    async def until_named(self, leader: str | None, seconds: float = 60) -> None:
        """Wait until Redis names that leader with the database's epoch, or nobody."""

        async def named() -> bool:
            (lease,) = await self.world.rows("SELECT epoch FROM leases")
            with contextlib.closing(self.redis.client()) as client:
                name, epoch = client.get("ginie:active"), client.get("ginie:epoch")
            if leader is None:
                return name is None
            return bool(name == leader.encode() and epoch == str(lease["epoch"]).encode())

        await support.until(named, seconds)

    def write(self, epoch: int, holder: str) -> None:
        """Have the witness say so."""
        with contextlib.closing(self.redis.client()) as client:
            client.mset({"ginie:epoch": str(epoch), "ginie:active": holder})


@contextlib.asynccontextmanager
async def redis_world(
    database_url: str,
    folder: Path,
    *names: str,
    kind: str = "valkey",
    is_patient: bool = True,
    **more: str,
) -> AsyncIterator[RedisWorld]:
    """Instances of these names can be run; nothing but Redis and the exchange runs yet."""
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server_of(kind, folder / "redis"))
        await redis.up()
        wires: dict[str, Wire] = {}
        urls: dict[str, str] = {}
        for name in names:
            wires[name], urls[name] = await stack.enter_async_context(wire_to_redis(redis.url))
        here = await stack.enter_async_context(
            world(database_url, folder, is_patient=is_patient, **more)
        )
        yield RedisWorld(here, redis, wires, urls)
