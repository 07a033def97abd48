"""What leadership tells the pager, and what an instance does when its authority is away."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from onefill.core.control.states import ControlEvent, InstanceState
from onefill.core.ids import Epoch
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import RealClock
from onefill.ports.metrics import Metrics
from support import until

EPOCH = Epoch(7)


class Acting:
    """A term that is able to act at once, until it is cancelled."""

    def __init__(self, state: NodeState) -> None:
        self._state = state

    async def run(self, epoch: Epoch) -> None:
        self._state.move(ControlEvent.ABLE)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Nothing is under way."""

    def abandon(self) -> None:
        """Nothing is begun."""


async def leading(
    *, goes_on: bool = False, is_sole_authority: bool = False
) -> tuple[Leadership, NodeState]:
    """An instance that leads, and is able to act."""
    state, metrics = NodeState("prod", "boot"), Metrics()
    leadership = Leadership(
        term=Acting(state),
        state=state,
        metrics=metrics,
        sync=SyncHealth(metrics),
        log_context=LogContext("prod"),
        clock=RealClock(),
        goes_on=goes_on,
        is_sole_authority=is_sole_authority,
    )
    leadership.started(EPOCH, "election", None)
    await until(lambda: state.is_active)
    return leadership, state


@pytest.mark.req("CTL-19")
@pytest.mark.parametrize("goes_on", [False, True], ids=["active-standby", "active-active"])
async def test_each_change_reaches_the_pager_with_epoch_and_whether_signals_are_processed(
    goes_on: bool,
) -> None:
    with capture_logs() as lines:
        leadership, _ = await leading(goes_on=goes_on)
        await leadership.step_down()
        leadership.stepped_down(EPOCH)
        lost, _ = await leading(goes_on=goes_on)
        lost.stopped(EPOCH, "fenced")
    told = [
        (line["event"], line["log_level"], line["epoch"], line["processing_signals"])
        for line in lines
    ]
    became = ("BECAME LEADER - Now processing signals", "error", EPOCH, True)
    assert told == [
        became,
        ("Released leadership - Stopped processing signals", "error", EPOCH, goes_on),
        became,
        ("LOST LEADERSHIP - Stopped processing signals", "critical", EPOCH, goes_on),
    ]


@pytest.mark.req("CTL-19", "OPS-8")
async def test_each_line_names_the_instance() -> None:
    assert LogContext("prod")(structlog, "error", {})["instance"] == "prod"


@pytest.mark.req("CTL-10")
async def test_whose_only_authority_does_not_answer_protects_until_it_does() -> None:
    leadership, state = await leading(is_sole_authority=True)
    leadership.synced(200, is_good=False)
    with capture_logs() as lines:
        leadership.stopped(EPOCH, "deadline")
    assert state.state is InstanceState.PROTECT_ONLY
    assert not state.is_active
    assert ("[REDIS] Unavailable, using in-memory cache", "error") in [
        (line["event"], line["log_level"]) for line in lines
    ]
    leadership.synced(1, is_good=True)
    assert state.state is InstanceState.STANDBY


@pytest.mark.req("CTL-10")
@pytest.mark.parametrize("is_sole_authority", [True, False])
async def test_who_was_late_itself_or_has_a_database_just_stands_by(
    is_sole_authority: bool,
) -> None:
    leadership, state = await leading(is_sole_authority=is_sole_authority)
    leadership.synced(1, is_good=is_sole_authority)
    leadership.stopped(EPOCH, "deadline")
    assert state.state is InstanceState.STANDBY
