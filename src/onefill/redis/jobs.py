"""The record of the leader's jobs on Redis, and those of them that Redis needs (CTL-20)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from onefill.core.ids import Epoch
from onefill.core.intent import IntentState
from onefill.ports.jobs import JobOutcome, JobRun
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.control.instances import RedisInstances
from onefill.redis.documents import body_of, micros
from onefill.redis.keys import JOBS, SIGNALS, UNDECIDED, key

_ABANDONED_AFTER = timedelta(minutes=1)
_OLDEST_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The newest run of a job; its number is when it began, in microseconds."""

    run: int
    record: JobRun
    instance: str
    details: str = ""


_runs = msgspec.json.Decoder(_Run)


class RedisJobs:
    """Implements ports.jobs.JobLog; keeps the newest run of each job."""

    def __init__(
        self,
        authority: RedisAuthority,
        instances: RedisInstances,
        instance: str,
        archive_after_s: float,
    ) -> None:
        self._authority = authority
        self._instances = instances
        self._instance = instance
        self._archive_after_s = archive_after_s

    async def last_runs(self) -> tuple[datetime, Mapping[str, JobRun]]:
        """The server's clock, and the newest run of each job."""
        texts = await self._authority.call("HVALS", JOBS)
        runs = (_runs.decode(text).record for text in texts)
        return await self._authority.now(), {run.job: run for run in runs}

    async def begin(self, epoch: Epoch, job: str) -> int:
        """Record that a run starts, in the place of the one before."""
        now = await self._authority.now()
        record = JobRun(job=job, epoch=epoch, started_at=now, outcome=None)
        run = _Run(run=micros(now), record=record, instance=self._instance)
        await self._write(epoch, run)
        return run.run

    async def end(self, epoch: Epoch, run: int, outcome: JobOutcome, details: str) -> None:
        """Record how it ended."""
        for text in await self._authority.call("HVALS", JOBS):
            kept = _runs.decode(text)
            if kept.run == run:
                record = replace(kept.record, outcome=outcome)
                await self._write(epoch, replace(kept, record=record, details=details))

    async def archive_instances(self, epoch: Epoch) -> str:
        """Put aside instances that were not heard of for long (CTL-17)."""
        return json.dumps({"archived": await self._instances.archive(self._archive_after_s)})

    async def count_abandoned(self) -> tuple[int, int]:
        """Signals undecided (the oldest ones that wait), and orders unsent, for over a minute."""
        oldest = micros(await self._authority.now() - _ABANDONED_AFTER)
        places = await self._authority.call(
            "ZRANGEBYLEX", UNDECIDED, "-", "+", "LIMIT", 0, _OLDEST_LOOKED_AT
        )
        numbers = [int(place[-16:]) for place in places]
        undecided = sum([await self._is_older(number, oldest) for number in numbers])
        new = key("intents", IntentState.NEW)
        unsent = await self._authority.call("ZCOUNT", new, "-inf", oldest)
        return undecided, int(unsent)

    async def _is_older(self, number: int, oldest: int) -> bool:
        entry = f"{number}-0"
        found = await self._authority.run(_RECEIVED, [SIGNALS], entry)
        return found is not None and int(found) < oldest

    async def _write(self, epoch: Epoch, run: _Run) -> None:
        changes = Changes()
        changes.write("HSET", JOBS, run.record.job, body_of(run))
        await self._authority.commit(epoch, changes)


_RECEIVED = """
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
for turn = 1, entry and #entry[2] or 0, 2 do
    if entry[2][turn] == 'received_at' then return entry[2][turn + 1] end
end
return false"""
