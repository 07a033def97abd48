"""Routes of control: who is active, taking and releasing it, who led when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from onefill.ports.coordination import InstanceStatus, Reign, StaleInstance, TakeResult
from onefill.web.api import examples
from onefill.web.api.answers import answer, refuse
from onefill.web.api.desk import AtDesk, By, documented

router = APIRouter()
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_AHEAD = timedelta(days=365_000)
_STATUS_OF = {TakeResult.ALREADY_ACTIVE: 200, TakeResult.STARTED: 202, TakeResult.IN_PROGRESS: 202}


class Take(BaseModel):
    """force: do not ask the holder. epoch: the one that you saw; when it is over, 409."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False
    epoch: Annotated[int | None, Field(ge=0)] = None


class Release(BaseModel):
    """yes: release even if there is no other instance; then nobody is active."""

    model_config = ConfigDict(extra="forbid")

    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a wish to take control."""

    success: bool
    message: str
    wait_seconds: float
    operation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedControl:
    """What became of a wish to release control."""

    success: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Intervals of leadership, in order."""

    history: tuple[Reign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Instances that fell silent, the longest first."""

    instances: tuple[StaleInstance, ...]


_STALE = Stale(
    instances=(
        StaleInstance(
            instance="prod",
            status="crashed",
            is_leader=False,
            last_heartbeat=examples.HISTORY[0].became_at,
            stale_s=41.5,
        ),
    )
)
_TAKEN = Taken(
    success=True, message="This instance is active already.", wait_seconds=0, operation_id=None
)
_BEGUN = Taken(
    success=True, message="Taking control.", wait_seconds=10, operation_id=examples.OPERATION.id
)
_RELEASED = ReleasedControl(success=True, message="Handed over.")


@router.get(
    "/api/ginie/instance-status",
    tags=["control"],
    summary="How this instance stands: active or not, and who is",
    response_model=InstanceStatus,
    responses=documented(examples.INSTANCE_STATUS),
)
async def instance_status(desk: AtDesk) -> Response:
    """Answers without the database too; null is «not known»."""
    return answer(await desk.coordination.status())


@router.post(
    "/api/ginie/take-control",
    tags=["control"],
    summary="Make this instance the active one",
    response_model=Taken,
    responses={**documented(_TAKEN, 403, 409, 422), 202: documented(_BEGUN)[200]},
)
async def take_control(
    desk: AtDesk, by: By, wish: Annotated[Take | None, Body(examples=[{"force": False}])] = None
) -> Response:
    """202: it has begun, or another click began it; follow `operation` of the status."""
    wanted = wish or Take()
    taken = await desk.coordination.take_control(by, force=wanted.force, epoch=wanted.epoch)
    if taken.result is TakeResult.REFUSED:
        remedy = "Look at the present state, then decide again."
        return refuse(409, "Not possible", taken.message, remedy, success=False)
    shown = Taken(
        success=True,
        message=taken.message,
        wait_seconds=taken.wait_seconds,
        operation_id=taken.operation_id,
    )
    return answer(shown, _STATUS_OF[taken.result])


@router.post(
    "/api/ginie/release-control",
    tags=["control"],
    summary="Hand control to another instance",
    response_model=ReleasedControl,
    responses=documented(_RELEASED, 403, 409, 422),
)
async def release_control(
    desk: AtDesk, by: By, wish: Annotated[Release | None, Body(examples=[{"yes": False}])] = None
) -> Response:
    """Prefers the one that is active by default. Alone, it needs `yes`."""
    wanted = wish or Release()
    released = await desk.coordination.release_control(by, into_nothing=wanted.yes)
    if not released.success:
        remedy = "Look at the present state, then decide again."
        return refuse(409, "Not possible", released.message, remedy, success=False)
    return answer(ReleasedControl(success=True, message=released.message))


@router.get(
    "/coordinator/metrics",
    tags=["coordinator"],
    summary="The coordinator's figures",
    response_model=Mapping[str, str | float | bool | None],
    responses=documented(examples.NODE.metrics),
)
async def metrics(desk: AtDesk) -> Response:
    """A `db_sync` is one lease, heartbeat or mirror write; rates are over the last 100."""
    return answer(await desk.coordination.metrics())


@router.get(
    "/coordinator/stale-instances",
    tags=["coordinator"],
    summary="Instances that were not heard of for some time",
    response_model=Stale,
    responses=documented(_STALE, 422),
)
async def stale_instances(
    desk: AtDesk,
    timeout: Annotated[float, Query(gt=0, le=1e9, description="Seconds of silence.")] = 30.0,
) -> Response:
    """A leader among them has crashed, and is shown so, never as leader."""
    return answer(Stale(instances=await desk.coordination.get_stale_instances(timeout)))


@router.get(
    "/coordinator/history",
    tags=["coordinator"],
    summary="Who was active between two moments",
    response_model=History,
    responses=documented(History(history=examples.HISTORY), 422),
)
async def history(
    desk: AtDesk,
    from_: Annotated[
        AwareDatetime | None, Query(alias="from", description="ISO-8601 with its zone.")
    ] = None,
    to: Annotated[AwareDatetime | None, Query(description="ISO-8601 with its zone.")] = None,
) -> Response:
    """Every interval that touches that time; without limits, all of them."""
    start = from_ or _LONG_AGO
    end = to or _LONG_AGO + _FAR_AHEAD
    return answer(History(history=await desk.coordination.history(start, end)))
