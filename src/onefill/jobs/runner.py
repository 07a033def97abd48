"""Due jobs → runs, one after the other, each recorded before it starts and when it ends."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from onefill.core.errors import Fenced, StoreUnavailable
from onefill.core.ids import Epoch
from onefill.jobs.schedule import due
from onefill.ports.clock import Clock
from onefill.ports.jobs import Job, JobLog, JobOutcome

LOOK_EVERY_S = 1.0

log = structlog.get_logger()


class Runner:
    """Runs jobs while its instance leads."""

    def __init__(self, *, jobs: Sequence[Job], runs: JobLog, clock: Clock) -> None:
        self._jobs = jobs
        self._runs = runs
        self._clock = clock

    async def run(self, epoch: Epoch) -> None:
        """Run what is due until cancelled. Raises Fenced when the epoch is over."""
        while True:
            try:
                await self._run_due(epoch)
            except StoreUnavailable as error:
                log.warning("jobs.store_unavailable", error=str(error))
            await self._clock.sleep(LOOK_EVERY_S)

    async def _run_due(self, epoch: Epoch) -> None:
        now, last = await self._runs.last_runs()
        for job in due(self._jobs, last, now, epoch):
            await self._run_one(epoch, job)

    async def _run_one(self, epoch: Epoch, job: Job) -> None:
        run = await self._runs.begin(epoch, job.name)
        try:
            details = await job.work(epoch)
        except Fenced:
            raise
        except Exception as error:  # one job's defect must not stop the others
            log.exception("jobs.failed", job=job.name)
            details = f"{type(error).__name__}: {error}"
            await self._runs.end(epoch, run, JobOutcome.FAILED, details)
            return
        await self._runs.end(epoch, run, JobOutcome.DONE, details)
        log.debug("jobs.done", job=job.name, details=details)
