"""Who led when, as the lease's scripts keep it: no change of epoch is without its line (CTL-18)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.control.instances import RedisInstances
from onefill.redis.documents import micros, moment_of, texts_of
from onefill.redis.keys import key

_REIGN = "return redis.call('HGETALL', KEYS[1])"
_TRIES, _RETRY_S = 60, 1.0

_READ = """
local found = {}
for _, epoch in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])) do
    found[#found + 1] = {epoch, redis.call('HGETALL', KEYS[1] .. ':' .. epoch)}
end
return found"""


class RedisHistory:
    """The reigns that touch a time."""

    def __init__(
        self,
        authority: RedisAuthority,
        instances: RedisInstances,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._authority = authority
        self._instances = instances
        self._writing: set[asyncio.Task[None]] = set()

    async def between(
        self, resource: str, start: datetime, end: datetime
    ) -> Sequence[Mapping[str, Any]]:
        """The intervals of leadership that touch this time, in order."""
        found = await self._authority.run(_READ, [key("reigns", resource)], micros(end) - 1)
        hosts = {str(each.boot): each.presence.hostname for each in await self._instances.all()}
        rows = (_row(resource, int(epoch), texts_of(fields), hosts) for epoch, fields in found)
        return [row for row in rows if row["released_at"] is None or row["released_at"] > start]

    def survived(self, resource: str, epoch: Epoch, holder: Holder, reason: str) -> None:
        """That holder lives, and has found that this epoch of its is over (CTL-4)."""
        task = asyncio.create_task(self.tell_survived(resource, epoch, holder, reason))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def wrong_takeovers(self, resource: str, within_s: float) -> int:
        """How many takeovers within this time hit a holder that was alive. Raises
        StoreUnavailable."""
        now = await self._authority.now()
        since = now - timedelta(seconds=within_s)
        reigns = await self.between(resource, since, now)
        return sum(_was_wrong(reign, after) for reign, after in itertools.pairwise(reigns))

    def write_up(self, resource: str) -> None:
        """Nothing: the script that changes the epoch writes the line."""

    async def tell_survived(self, resource: str, epoch: Epoch, holder: Holder, reason: str) -> None:
        """The same, now. It is for people and for damping, and tried until it is written or a
        newer one is to be."""
        name = key("reigns", resource, str(int(epoch)))
        for _ in range(_TRIES):
            try:
                texts = texts_of(await self._authority.run(_REIGN, [name]))
                if "ended" not in texts:  # a holder that takes up its own again was not succeeded
                    return
                changes = Changes()
                changes.write("HSET", name, "survived", str(holder.boot))
                if reason == "deadline" and texts.get("end_reason") == "failover":
                    changes.write("HSET", name, "end_reason", reason)
                await self._authority.commit(None, changes)
                return
            except StoreUnavailable:
                self._failed()
                await asyncio.sleep(_RETRY_S)


def _was_wrong(reign: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the holder lived that another one succeeded as if it were dead."""
    is_failover = reign["end_reason"] in ("failover", "deadline")
    return bool(reign["survived"]) and is_failover and reign["boot"] != after["boot"]


def _row(
    resource: str, epoch: int, texts: Mapping[str, str], hosts: Mapping[str, str | None]
) -> dict[str, Any]:
    ended = texts.get("ended")
    return {
        "resource": resource,
        "epoch": epoch,
        "instance": texts["instance"],
        "boot": texts["boot"],
        "hostname": hosts.get(texts["boot"]),
        "became_at": moment_of(texts["became"]),
        "released_at": None if ended is None else moment_of(ended),
        "reason": texts["reason"],
        "end_reason": texts.get("end_reason"),
        "survived": "survived" in texts,
    }
