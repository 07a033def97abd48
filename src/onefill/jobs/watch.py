"""The missed-signal watch: what should have been heard → alerts, and their end. Source: SIG-21."""

from __future__ import annotations

import json
from datetime import timedelta

import structlog

from onefill.core.ids import Epoch
from onefill.core.instrument import Rules
from onefill.core.watch import misses, watched
from onefill.ports.jobs import Job
from onefill.ports.watch import JOB, WatchStore

_LOOKS_A_BAR = 4

log = structlog.get_logger()


class Watch:
    """every_s: between two looks, at the most a quarter of the shortest bar; grace_s: how late
    a signal may be."""

    def __init__(self, store: WatchStore, rules: Rules, *, every_s: float, grace_s: float) -> None:
        self._store = store
        self._rules = rules
        self._every_s = every_s
        self._grace_s = grace_s

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The job that looks; none where no instrument has a bar."""
        bars = watched(self._rules).values()
        if not bars:
            return ()
        shortest_s = min(bars).total_seconds()
        every_s = min(self._every_s, shortest_s / _LOOKS_A_BAR)
        return (Job(name=JOB, every_s=every_s, work=self.look),)

    async def look(self, epoch: Epoch) -> str:
        """Look once, and tell what changed."""
        heard = await self._store.heard(watched(self._rules))
        found = misses(heard, self._rules, timedelta(seconds=self._grace_s))
        changes = await self._store.keep(epoch, found)
        for miss in changes.raised:
            since = miss.since.isoformat()
            log.error("watch.missed", kind=miss.kind.value, since=since, says=miss.says)
        for says in changes.over:
            log.warning("watch.came_right", says=says)
        return json.dumps({"missed": len(found), "raised": len(changes.raised)})
