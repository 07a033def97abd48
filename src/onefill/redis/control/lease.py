"""The lease as one hash of Redis, changed by scripts: each is one step, by the server's clock.

The authority of the shared-redis topology (CTL-2, CTL-21). It holds only on a Redis that fsyncs
each write before the answer and has no replica that might take over without it (`onefill doctor`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from onefill.core.ids import Epoch
from onefill.ports.lease import Holder, Lease
from onefill.redis.beside.witness import keys_of
from onefill.redis.connection import RedisConnection
from onefill.redis.keys import key

# Numbers up to 2^53 are exact in Lua, and microseconds since 1970 stay below it until 2255; but
# tostring() rounds them, so each is written with a format.
_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(number) return string.format('%.0f', number) end
local found = redis.call('HMGET', KEYS[1], 'epoch', 'holder', 'boot', 'until', 'barred')
local epoch, holder, boot, ends = found[1], found[2], found[3], tonumber(found[4] or '0')
-- No lease lasts as long as four minutes: one that seems to is of before the clock was set back.
if ends - now > 240000000 then ends = 0 end
local function end_reign(why)
    if epoch then
        redis.call('HSETNX', KEYS[4] .. ':' .. epoch, 'ended', text(now))
        redis.call('HSETNX', KEYS[4] .. ':' .. epoch, 'end_reason', why)
    end
end
local function grant(number, instance, its_boot, ttl_ms, why)
    local granted = text(number)
    end_reign(why)
    redis.call('ZADD', KEYS[4], text(now), granted)
    redis.call('HSET', KEYS[4] .. ':' .. granted, 'instance', instance, 'boot', its_boot,
               'became', text(now), 'reason', why)
    redis.call('HSET', KEYS[1], 'epoch', granted, 'holder', instance, 'boot', its_boot,
               'until', text(now + tonumber(ttl_ms) * 1000), 'barred', '0')
    redis.call('SET', KEYS[2], granted)
    redis.call('SET', KEYS[3], instance)
    return granted
end
"""

_READ = f"{_NOW} return {{epoch, holder, boot, text(ends - now), found[5]}}"

# CTL-8: a store that lost everything must not hand out an epoch that somebody has seen before.
_ACQUIRE = f"""{_NOW}
if not epoch then
    if ARGV[1] ~= '0' then return false end
    return grant(now, ARGV[2], ARGV[3], ARGV[4], 'election')
end
if epoch ~= ARGV[1] then return false end
local mine = holder == ARGV[2] and boot ~= ARGV[3]
if holder and ends > now and not mine then return false end
return grant(tonumber(epoch) + 1, ARGV[2], ARGV[3], ARGV[4], holder and 'failover' or 'election')"""

_FORCE = f"""{_NOW}
if not epoch or epoch ~= ARGV[1] then return false end
return grant(tonumber(epoch) + 1, ARGV[2], ARGV[3], ARGV[4], 'forced')"""

_TRANSFER = f"""{_NOW}
if epoch ~= ARGV[1] or boot ~= ARGV[2] or found[5] == '1' then return false end
return grant(tonumber(epoch) + 1, ARGV[3], ARGV[4], ARGV[5], ARGV[6])"""

_RENEW = f"""{_NOW}
if epoch ~= ARGV[1] or boot ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'until', text(now + tonumber(ARGV[3]) * 1000))
return 1"""

_RELEASE = f"""{_NOW}
if epoch ~= ARGV[1] or boot ~= ARGV[2] then return 0 end
end_reign(ARGV[3])
redis.call('HDEL', KEYS[1], 'holder', 'boot', 'until')
redis.call('DEL', KEYS[3])
return 1"""

_BAR = f"""{_NOW}
if epoch ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'barred', '1')
return 1"""


class RedisLeaseStore:
    """Implements ports.lease.LeaseStore. Who led when is kept in the same step (CTL-18).

    verify: raises StoreUnavailable where the store is not to be trusted: nobody leads by it.
    """

    def __init__(
        self, connection: RedisConnection, verify: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._connection = connection
        self._verify = verify

    async def read(self, resource: str) -> Lease | None:
        """The lease now; None when nobody ever held it."""
        epoch, holder, boot, remaining_us, barred = await self._run(_READ, resource)
        if epoch is None:
            return None
        return Lease(
            resource=resource,
            epoch=Epoch(int(epoch)),
            holder=Holder(instance=holder.decode(), boot=UUID(boot.decode())) if holder else None,
            remaining_ms=int(remaining_us) / 1000 if holder else 0,
            barred=barred == b"1",
        )

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it, if it is vacant, expired, or an earlier boot's; None when it is not so."""
        if self._verify is not None:
            await self._verify()
        return _epoch(await self._run(_ACQUIRE, resource, int(expected), *_of(claimant), ttl_ms))

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        """Prolong it; False means that this epoch is over."""
        return bool(await self._run(_RENEW, resource, int(epoch), str(holder.boot), ttl_ms))

    async def release(
        self, resource: str, epoch: Epoch, holder: Holder, reason: str = "release"
    ) -> bool:
        """Give it up, keeping the epoch; False when it was not held any more."""
        return bool(await self._run(_RELEASE, resource, int(epoch), str(holder.boot), reason))

    async def transfer(
        self, resource: str, epoch: Epoch, holder: Holder, to: Holder, *, ttl_ms: int, reason: str
    ) -> Epoch | None:
        """Hand it over as epoch + 1, without a moment of vacancy; None when it was not held."""
        boot = str(holder.boot)
        if self._verify is not None:
            await self._verify()
        facts = (int(epoch), boot, *_of(to), ttl_ms, reason)
        return _epoch(await self._run(_TRANSFER, resource, *facts))

    async def force(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it as epoch `expected` + 1, whoever holds it; None when the epoch is another."""
        if self._verify is not None:
            await self._verify()
        return _epoch(await self._run(_FORCE, resource, int(expected), *_of(claimant), ttl_ms))

    async def bar(self, resource: str, expected: Epoch) -> bool:
        """Let no guarded write of this epoch pass any more; False when the epoch is another."""
        return bool(await self._run(_BAR, resource, int(expected)))

    async def _run(self, script: str, resource: str, *arguments: str | int) -> Any:
        keys = [f"ginie:lease:{resource}", *keys_of(resource), key("reigns", resource)]
        return await self._connection.run_script(script, keys, *arguments)


def _of(holder: Holder) -> tuple[str, str]:
    return holder.instance, str(holder.boot)


def _epoch(answer: bytes | None) -> Epoch | None:
    return None if answer is None else Epoch(int(answer))
