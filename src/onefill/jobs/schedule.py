"""Which jobs are due. Source: CTL-20."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from onefill.core.ids import Epoch
from onefill.ports.jobs import Job, JobOutcome, JobRun

RETRY_S = 60.0
"""A run that failed, or was cut off while its epoch went on, is tried again after this time, or its
own interval where that is shorter."""


def due(jobs: Sequence[Job], last: Mapping[str, JobRun], now: datetime, epoch: Epoch) -> list[Job]:
    """The jobs to run now, in their order.

    One that never ran, or whose turn passed while nobody led, is due at once; so is one whose
    last run an earlier epoch left unfinished.
    """
    return [job for job in jobs if _is_due(job, last.get(job.name), now, epoch)]


def _is_due(job: Job, run: JobRun | None, now: datetime, epoch: Epoch) -> bool:
    if run is None:
        return True
    was_cut_off = run.outcome is None or run.outcome is JobOutcome.ABANDONED
    if was_cut_off and run.epoch != epoch:
        return True
    pause_s = job.every_s if run.outcome is JobOutcome.DONE else min(RETRY_S, job.every_s)
    return now - run.started_at >= timedelta(seconds=pause_s)
