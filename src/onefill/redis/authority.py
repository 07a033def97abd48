"""The Redis that decides: what it lost must be noticed, and each write is all or nothing.

Whoever changes the books looks, decides, and commits. The commit is one script: it writes only if
the store is the one that was seen before and has lost nothing, if the epoch holds, and if nothing
that was looked at has been written meanwhile (CTL-1, CTL-8, CTL-21).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from onefill.core.errors import CommitUnknown, Fenced, StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.clock import new_boot
from onefill.redis import scripts
from onefill.redis.connection import RedisConnection, RedisUnavailable
from onefill.redis.documents import Snapshot, snapshot_of, time_of
from onefill.redis.keys import LEASE, STORE
from onefill.redis.memory import Memory, Remembered

log = structlog.get_logger()


class StoreLost(StoreUnavailable):
    """This Redis has lost commits, or is another one: nothing may be traded by what it holds."""

    remedy = (
        "Do not trade before you compared the brokers' positions and orders with what you expect. "
        "Put the right Redis back; or stop all instances, delete the named file of each, and start "
        "them again: then what this Redis holds counts."
    )


class Stale(StoreUnavailable):
    """What was looked at has been written meanwhile: look again."""


@dataclass(slots=True)
class Changes:
    """What one commit is going to write, and what must not have changed until then.

    versions: of what was read, by key. writes: commands of Redis.
    """

    versions: dict[str, str] = field(default_factory=dict)
    writes: list[list[str]] = field(default_factory=list)

    def write(self, *command: object) -> None:
        """One more command."""
        self.writes.append([str(part) for part in command])

    def set_fields(self, key: str, fields: Mapping[str, object]) -> None:
        """Set these fields of a hash; None takes one away."""
        kept = [part for pair in fields.items() if pair[1] is not None for part in pair]
        gone = [name for name, value in fields.items() if value is None]
        if kept:
            self.write("HSET", key, *kept)
        if gone:
            self.write("HDEL", key, *gone)


class RedisAuthority:
    """One Redis, as one instance knows it. Belongs to one event loop."""

    def __init__(self, connection: RedisConnection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._remembered: Remembered | None = None
        self._lost: str | None = None

    @property
    def name(self) -> str | None:
        """Which store it is, while it answers and has lost nothing."""
        if self._remembered is None or self._lost is not None or not self._connection.is_up:
            return None
        return self._remembered.store

    @property
    def lost(self) -> str | None:
        """What it lost, in words; None when nothing was noticed."""
        return self._lost

    async def verify(self) -> Remembered:
        """Look whether it is the store of before. Raises StoreLost, StoreUnavailable."""
        known = self._remembered or self._memory.recall()
        new = "" if known is not None else str(new_boot())
        found = await self._connection.run_script(scripts.OPEN, [STORE], new)
        store, commits = (part.decode() if part else "" for part in found)
        seen = Remembered(store=store, commits=int(commits or 0))
        if known is not None and (seen.store != known.store or seen.commits < known.commits):
            raise self._is_lost(known, f"it is {store or 'empty'} at commit {commits or 0}")
        self._lost = None
        self._remembered = seen if known is None else max(seen, known)
        if known is None or self._memory.recall() is None:
            await asyncio.to_thread(self._memory.keep, self._remembered)
        return self._remembered

    async def look(
        self,
        *,
        lanes: Iterable[str] = (),
        names: Iterable[str] = (),
        signals: Iterable[int] = (),
        turn: int = 0,
    ) -> Snapshot:
        """Lanes and intents with all that belongs to them, at one moment."""
        asked = {
            "lanes": sorted(set(lanes)),
            "names": sorted(set(names)),
            "signals": [str(number) for number in signals],
            "turn": turn,
        }
        return snapshot_of(await self.run(scripts.LOOK, [], json.dumps(asked)))

    async def run(self, script: str, keys: list[str], *arguments: str | int) -> Any:
        """The answer of a script that reads. Raises StoreUnavailable."""
        return await self._connection.run_script(script, keys, *arguments)

    async def call(self, *command: str | int) -> Any:
        """The answer of one command that reads. Raises StoreUnavailable."""
        return await self._connection.call(*command)

    async def now(self) -> datetime:
        """The server's clock."""
        return time_of(await self.call("TIME"))

    async def commit(self, epoch: Epoch | None, changes: Changes) -> None:
        """All of it or nothing. Raises Fenced, Stale, StoreLost, CommitUnknown."""
        known = self._remembered or await self.verify()
        asked = {
            "store": known.store,
            "seen": str(known.commits),
            "epoch": "" if epoch is None else str(int(epoch)),
            "versions": list(changes.versions.items()),
            "writes": changes.writes,
        }
        answer = await self._written(scripts.COMMIT, [STORE, LEASE], json.dumps(asked))
        if answer[0] == b"fenced":
            raise Fenced(epoch=epoch)
        if answer[0] == b"stale":
            raise Stale()

    async def append(self, keys: list[str], received_by: str, rows: Sequence[object]) -> Any:
        """Log signals; what append.lua answers for each. Raises StoreLost, CommitUnknown."""
        known = self._remembered or await self.verify()
        arguments = (known.store, known.commits, received_by, json.dumps(rows))
        return (await self._written(scripts.APPEND, [STORE, *keys], *arguments))[2]

    async def _written(self, script: str, keys: list[str], *arguments: str | int) -> Any:
        """The answer of a script that writes; its end is unknown when it does not answer."""
        try:
            answer = await self._connection.run_script(script, keys, *arguments)
        except RedisUnavailable as error:
            raise CommitUnknown(cause=str(error)) from error
        if answer[0] == b"lost":
            await self.verify()
            raise Stale("The store's name was not known.")
        if answer[0] == b"done":
            self._seen(int(answer[1]))
        return answer

    def _seen(self, commits: int) -> None:
        if self._remembered is not None and commits > self._remembered.commits:
            self._remembered = Remembered(store=self._remembered.store, commits=commits)

    async def save(self) -> None:
        """Remember on disk how far it had come when it was last heard of."""
        if self._remembered is not None and self._lost is None:
            await asyncio.to_thread(self._memory.keep, self._remembered)

    def _is_lost(self, known: Remembered, found: str) -> StoreLost:
        remembered = f"{known.store} at commit {known.commits}"
        if self._lost is None:
            log.critical(
                "redis.lost_commits",
                remembered=remembered,
                found=found,
                file=self._memory.place,
                remedy=StoreLost.remedy,
            )
        self._lost = f"it was {remembered}; now {found}"
        return StoreLost(remembered=remembered, found=found, file=self._memory.place)
