"""The registry of instances on Redis: who runs, where, and since when it was last heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from onefill.ports.lease import Holder
from onefill.ports.peers import Namesake, Peer, Presence
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import body_of
from onefill.redis.keys import INSTANCES

STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an instance told of itself, and when, by the server's clock."""

    instance: str
    boot: UUID
    at: datetime
    leads_since: datetime | None
    presence: Presence


_heard = msgspec.json.Decoder(Heard)


class RedisInstances:
    """Implements ports.peers.Peers (CTL-4, CTL-17)."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority
        self._leads_since: datetime | None = None

    async def beat(self, holder: Holder, presence: Presence) -> None:
        """Say that it lives, and how it is."""
        now = await self._authority.now()
        if not presence.is_leader:
            self._leads_since = None
        elif self._leads_since is None:
            self._leads_since = now
        heard = Heard(
            instance=holder.instance,
            boot=holder.boot,
            at=now,
            leads_since=self._leads_since,
            presence=presence,
        )
        await self._write(heard)

    async def namesake(self, me: Holder) -> Namesake | None:
        """Nothing here shows that a process is still there."""
        return None

    async def others(self, me: Holder, timeout_s: float) -> Sequence[Peer]:
        """Those besides me that live and could lead, by name."""
        now = await self._authority.now()
        return [
            Peer(holder=Holder(instance=heard.instance, boot=heard.boot), heir=heard.presence.heir)
            for heard in await self.all()
            if heard.instance != me.instance
            and heard.presence.executes
            and heard.presence.state != STOPPED
            and now - heard.at < timedelta(seconds=timeout_s)
        ]

    async def leave(self, holder: Holder) -> None:
        """Say that it has stopped by its own will."""
        for heard in await self.all():
            if (heard.instance, heard.boot) == (holder.instance, holder.boot):
                gone = replace(heard.presence, state=STOPPED, is_leader=False)
                await self._write(replace(heard, presence=gone, leads_since=None))

    async def all(self) -> list[Heard]:
        """Every instance that was ever heard of, by name."""
        found = await self._authority.call("HVALS", INSTANCES)
        return sorted((_heard.decode(text) for text in found), key=lambda heard: heard.instance)

    async def archive(self, timeout_s: float) -> list[str]:
        """Put aside those not heard of for longer than that; says which."""
        oldest = await self._authority.now() - timedelta(seconds=timeout_s)
        gone = [heard.instance for heard in await self.all() if heard.at < oldest]
        changes = Changes()
        for instance in gone:
            changes.write("HDEL", INSTANCES, instance)
        if gone:
            await self._authority.commit(None, changes)
        return gone

    async def _write(self, heard: Heard) -> None:
        changes = Changes()
        changes.write("HSET", INSTANCES, heard.instance, body_of(heard))
        await self._authority.commit(None, changes)
