"""Background work of the leader: what a job is, and where its runs are recorded (CTL-20)."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onefill.core.ids import Epoch


class JobOutcome(enum.StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    ABANDONED = "abandoned"  # its instance lost the right to act, or died, on the way


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """The last run of a job. outcome: None while it runs, or when whoever ran it is gone."""

    job: str
    epoch: Epoch
    started_at: datetime
    outcome: JobOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work to be done now and then. work: does it under that epoch, and says what was done.

    It raises Fenced when the epoch is over. every_s: from one start to the next.
    """

    name: str
    every_s: float
    work: Callable[[Epoch], Awaitable[str]]


class JobLog(Protocol):
    """The record of runs. Writes are fenced; all raise StoreUnavailable."""

    async def last_runs(self) -> tuple[datetime, Mapping[str, JobRun]]:
        """The database's clock, and the newest run of each job."""
        ...

    async def begin(self, epoch: Epoch, job: str) -> int:
        """Record that a run starts; an unfinished one before it becomes abandoned."""
        ...

    async def end(self, epoch: Epoch, run: int, outcome: JobOutcome, details: str) -> None:
        """Record how it ended."""
        ...
