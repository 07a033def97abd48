"""Routes that say how the instances stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from onefill.core.errors import StoreUnavailable
from onefill.ports.authority import LossRow
from onefill.ports.rows import (
    BlockedLane,
    InstanceRow,
    LeaderRow,
    MissedRow,
    NodeStatus,
    Standing,
)
from onefill.ports.views import Page
from onefill.web.api import examples
from onefill.web.api.answers import answer
from onefill.web.api.desk import AtDesk, Paged, documented
from onefill.web.api.examples_missed import MISSED

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """This instance, and what concerns all of them.

    venue: LIVE when any order of this instance can reach real money, else PAPER. spooled: signals
    that wait in its local spool for the database. loss: that the database lost commits; while
    that is not explained, the state is SAFE and nothing is sent. Everything from `leader` on is
    null while the database is not reachable.
    """

    instance: str
    version: str
    state: str
    is_active: bool
    epoch: int | None
    mode: str
    topology: str
    venue: str
    database: str
    redis_connected: bool | None
    spooled: int
    loss: LossRow | None
    leader: str | None
    leader_url: str | None
    paused: bool | None
    exits_paused: bool | None
    paused_by: str | None
    paused_at: datetime | None
    in_doubt: int | None
    quarantined: int | None
    blocked_lanes: tuple[BlockedLane, ...] | None
    missed: tuple[MissedRow, ...] | None


def _status(node: NodeStatus, seen: tuple[LeaderRow | None, Standing] | None) -> Status:
    leader, standing = seen or (None, None)
    return Status(
        instance=node.instance,
        version=node.version,
        state=node.state,
        is_active=node.is_active,
        epoch=node.epoch,
        mode=node.mode,
        topology=node.topology,
        venue="LIVE" if node.live else "PAPER",
        database="connected" if seen else "unreachable",
        redis_connected=node.redis_connected,
        spooled=node.spooled,
        loss=node.loss,
        leader=leader.instance if leader else None,
        leader_url=leader.url if leader else None,
        paused=standing.paused if standing else None,
        exits_paused=standing.exits_paused if standing else None,
        paused_by=standing.paused_by if standing else None,
        paused_at=standing.paused_at if standing else None,
        in_doubt=standing.in_doubt if standing else None,
        quarantined=standing.quarantined if standing else None,
        blocked_lanes=standing.blocked_lanes if standing else None,
        missed=standing.missed if standing else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """Who leads, as each store says. split_brain: both name one, and their epochs differ; null
    while the database or Redis can't be asked."""

    redis_leader: str | None
    db_leader: str | None
    this_instance: str
    is_leader: bool
    split_brain: bool | None
    epoch: int | None
    metrics: Mapping[str, str | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """All instances that are known."""

    instances: tuple[InstanceRow, ...]


_STATUS = _status(examples.NODE, (examples.LEADER, examples.STANDING))
_LEADERSHIP = Leadership(
    redis_leader=None,
    db_leader="prod",
    this_instance="prod",
    is_leader=True,
    split_brain=False,
    epoch=7,
    metrics=examples.NODE.metrics,
)


@router.get(
    "/api/status",
    tags=["status"],
    summary="This instance, the leader, and what a person must know first",
    response_model=Status,
    responses=documented(_STATUS),
)
async def status(desk: AtDesk) -> Response:
    """Answers without the database too, and says so."""
    try:
        seen = await desk.views.leader(), await desk.views.standing()
    except StoreUnavailable:
        return answer(_status(desk.node(), None))
    return answer(_status(desk.node(), seen))


@router.get(
    "/api/missed",
    tags=["status"],
    summary="What should have been heard and was not, newest first",
    response_model=Page[MissedRow],
    responses=documented(MISSED, 422),
)
async def missed(desk: AtDesk, window: Paged) -> Response:
    """Bars without a signal, holes in a sender's count, positions that only the sender believes in;
    each with when it came right, if it did. Off where an instrument has no `bar_minutes`."""
    return answer(await desk.views.missed(window))


@router.get(
    "/coordinator/leader",
    tags=["coordinator"],
    summary="Who leads",
    response_model=Leadership,
    responses=documented(_LEADERSHIP),
)
async def leader(desk: AtDesk) -> Response:
    """`is_leader` is true only while this instance is able to act."""
    node, report = desk.node(), await desk.coordination.detect_split_brain()
    shown = Leadership(
        redis_leader=report.redis_leader,
        db_leader=report.db_leader,
        this_instance=node.instance,
        is_leader=node.is_active,
        split_brain=report.conflict,
        epoch=report.db_epoch,
        metrics=await desk.coordination.metrics(),
    )
    return answer(shown)


@router.get(
    "/coordinator/instances",
    tags=["coordinator"],
    summary="All instances and the age of their heartbeats",
    response_model=Instances,
    responses=documented(Instances(instances=examples.INSTANCES)),
)
async def instances(desk: AtDesk) -> Response:
    """A leader without a heartbeat is shown as crashed, never as leader."""
    return answer(Instances(instances=await desk.views.instances()))
