"""The contract of ports.handover.HandoverStore, on every store that promises it."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid5

import pytest

from onefill.core.control.handover import Step
from onefill.core.ids import Epoch
from onefill.ports.handover import NewRequest
from onefill.ports.lease import LEADER, Holder
from trading_support import Authority, holder

A, B = holder("a"), holder("b")


def request_of(me: Holder, expected: int, patience_ms: int = 10_000) -> NewRequest:
    """A wish of this instance."""
    return NewRequest(
        id=uuid5(me.boot, str(expected)),
        resource=LEADER,
        expected=Epoch(expected),
        requester=me,
        by_force=False,
        patience_ms=patience_ms,
    )


@pytest.mark.req("CTL-11", "CTL-12", "Q-4")
async def test_there_is_one_request_for_an_epoch_until_it_ends_or_its_requester_falls_silent(
    authority: Authority,
) -> None:
    requests = [authority.handovers(me) for me in (A, B)]
    first, second = request_of(A, 7), request_of(B, 7)
    assert (await requests[0].open(first)).id == first.id
    assert (await requests[1].open(second)).id == first.id
    await requests[1].note(first.id, Step.READY, "a", "warm")
    seen = await requests[0].current(LEADER, first.expected)
    assert seen is not None
    assert (seen.is_ready, seen.has_ended, seen.steps[-1].detail) == (True, False, "warm")
    assert (await requests[1].open(replace(second, patience_ms=-1))).id == second.id
    await requests[0].note(first.id, Step.FAILED, "a")  # it lost its place, so it says nothing
    latest = await requests[0].latest(LEADER)
    assert latest is not None
    assert (latest.id, latest.has_ended) == (second.id, False)
    await requests[0].note(second.id, Step.ACTIVE, "b")
    assert (await requests[0].open(first)).id == first.id


@pytest.mark.req("CTL-11", "Q-4")
async def test_a_step_that_is_recorded_late_does_not_look_like_the_end(
    authority: Authority,
) -> None:
    requests = authority.handovers(A)
    wanted = request_of(B, 7)
    await requests.open(wanted)
    for step in (Step.READY, Step.DRAINED, Step.ACTIVE, Step.TRANSFERRED):
        await requests.note(wanted.id, step, "b")
    seen = await requests.latest(LEADER)
    assert seen is not None
    told = [taken.step for taken in seen.steps]
    assert told == [Step.REQUESTED, Step.READY, Step.DRAINED, Step.TRANSFERRED, Step.ACTIVE]
    assert seen.has_ended
    times = [taken.at for taken in seen.steps]
    assert times == sorted(times)
