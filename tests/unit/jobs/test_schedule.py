"""When a job is due: by its interval, at once when its turn was missed, sooner after a failure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onefill.core.ids import Epoch
from onefill.jobs.schedule import due
from onefill.ports.jobs import Job, JobOutcome, JobRun

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


async def _work(epoch: Epoch) -> str:
    return ""


DAILY = Job(name="daily", every_s=86_400, work=_work)
QUICK = Job(name="quick", every_s=10, work=_work)


def is_due(job: Job, age_s: float, outcome: JobOutcome | None, epoch: int = 2) -> bool:
    run = JobRun(
        job=job.name,
        epoch=Epoch(epoch),
        started_at=NOW - timedelta(seconds=age_s),
        outcome=outcome,
    )
    return bool(due([job], {job.name: run}, NOW, Epoch(2)))


@pytest.mark.req("CTL-20")
def test_what_never_ran_is_due_and_order_is_kept() -> None:
    assert due([DAILY, QUICK], {}, NOW, Epoch(2)) == [DAILY, QUICK]


@pytest.mark.req("CTL-20")
def test_a_job_is_due_when_its_interval_is_over_or_long_missed() -> None:
    assert not is_due(DAILY, 86_399, JobOutcome.DONE)
    assert is_due(DAILY, 86_400, JobOutcome.DONE)
    assert is_due(DAILY, 10 * 86_400, JobOutcome.DONE, epoch=1)


@pytest.mark.req("CTL-20")
def test_a_failed_run_is_tried_again_soon_and_not_at_once() -> None:
    assert not is_due(DAILY, 59, JobOutcome.FAILED)
    assert is_due(DAILY, 60, JobOutcome.FAILED)
    assert is_due(QUICK, 10, JobOutcome.FAILED)


@pytest.mark.req("CTL-20")
def test_a_run_that_its_leader_left_unfinished_is_made_up_by_the_next_one() -> None:
    assert is_due(DAILY, 5, None, epoch=1)


@pytest.mark.req("CTL-20")
@pytest.mark.parametrize("outcome", [None, JobOutcome.ABANDONED])
def test_a_run_that_was_cut_off_while_its_epoch_goes_on_is_made_up_soon(
    outcome: JobOutcome | None,
) -> None:
    assert not is_due(DAILY, 59, outcome, epoch=2)
    assert is_due(DAILY, 60, outcome, epoch=2)
