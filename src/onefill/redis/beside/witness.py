"""ports.witness on two keys of Redis, which survive the loss of the database. Source: CTL-7."""

from __future__ import annotations

from typing import Any

from onefill.core.ids import Epoch
from onefill.ports.lease import LEADER
from onefill.ports.witness import Witnessed
from onefill.redis.connection import RedisConnection, RedisUnavailable

# An epoch is below 2^53 for two centuries of microseconds, so Lua's numbers compare it exactly;
# they are never written, only the text that came.
_WRITE = """
local seen = tonumber(redis.call('GET', KEYS[1]) or '') or 0
local told = tonumber(ARGV[1])
if told > seen then
    redis.call('SET', KEYS[1], ARGV[1])
end
if told >= seen then
    if ARGV[2] == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[2]) end
end
return redis.call('MGET', KEYS[1], KEYS[2])"""


def keys_of(resource: str) -> list[str]:
    """Where the epoch and its holder's name are kept."""
    suffix = "" if resource == LEADER else f":{resource}"
    return [f"ginie:epoch{suffix}", f"ginie:active{suffix}"]


class RedisWitness:
    """Implements ports.witness.Witness; the remembered epoch never goes down."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    @property
    def connected(self) -> bool | None:
        """Whether it answers now."""
        return self._connection.is_up

    async def read(self, resource: str) -> Witnessed | None:
        """What it remembers; None when it can't be asked."""
        try:
            return _witnessed(await self._connection.call("MGET", *keys_of(resource)))
        except RedisUnavailable:
            return None

    async def write(self, resource: str, epoch: Epoch, holder: str | None) -> Witnessed | None:
        """Remember this, unless a higher epoch is remembered; None when it can't be asked."""
        keys = keys_of(resource)
        try:
            return _witnessed(
                await self._connection.run_script(_WRITE, keys, int(epoch), holder or "")
            )
        except RedisUnavailable:
            return None

    async def close(self) -> None:
        """Nothing to do: the connection is shared."""


def _witnessed(answer: list[Any]) -> Witnessed | None:
    """What the keys hold; None where a stranger wrote something else into them."""
    epoch, holder = answer
    if not (epoch or b"0").isdigit():
        return None
    return Witnessed(
        epoch=Epoch(int(epoch or 0)), holder=holder.decode() if holder is not None else None
    )
