"""Who led when, as the lease's scripts keep it: no change of epoch is without its line (CTL-18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from onefill.redis.authority import RedisAuthority
from onefill.redis.documents import micros, moment_of, texts_of
from onefill.redis.instances import RedisInstances
from onefill.redis.keys import key

_READ = """
local found = {}
for _, epoch in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])) do
    found[#found + 1] = {epoch, redis.call('HGETALL', KEYS[1] .. ':' .. epoch)}
end
return found"""


class RedisHistory:
    """The reigns that touch a time."""

    def __init__(self, authority: RedisAuthority, instances: RedisInstances) -> None:
        self._authority = authority
        self._instances = instances

    async def between(
        self, resource: str, start: datetime, end: datetime
    ) -> Sequence[Mapping[str, Any]]:
        """The intervals of leadership that touch this time, in order."""
        found = await self._authority.run(_READ, [key("reigns", resource)], micros(end) - 1)
        hosts = {str(each.boot): each.presence.hostname for each in await self._instances.all()}
        rows = (_row(resource, int(epoch), texts_of(fields), hosts) for epoch, fields in found)
        return [row for row in rows if row["released_at"] is None or row["released_at"] > start]


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
    }
