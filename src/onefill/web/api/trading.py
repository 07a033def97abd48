"""Routes of the kill switch, and of the log of all that people did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.ports.rows import AuditRow
from onefill.ports.views import Page, TradingSwitch
from onefill.web.api import examples
from onefill.web.api.answers import answer
from onefill.web.api.desk import AtDesk, By, Paged, documented

router = APIRouter(prefix="/api", tags=["trading"])


class Note(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=500)] = ""


class Pause(Note):
    """What rests, and why. exits: nothing at all is sent, not even exits and stops."""

    exits: bool = False


Why = Annotated[Note | None, Body(examples=[{"note": "exchange maintenance"}])]
What = Annotated[Pause | None, Body(examples=[{"note": "exchange maintenance", "exits": False}])]


@router.post(
    "/trading/pause",
    summary="Stop trading, on all instances",
    response_model=TradingSwitch,
    responses=documented(examples.PAUSED, 403, 422),
)
async def pause(desk: AtDesk, by: By, what: What = None) -> Response:
    """Works on any instance, and again. Durable: a restart stays paused."""
    wanted = what or Pause()
    return answer(await desk.controls.pause(by, wanted.note, exits=wanted.exits))


@router.post(
    "/trading/resume",
    summary="Trade again",
    response_model=TradingSwitch,
    responses=documented(examples.RESUMED, 403, 422),
)
async def resume(desk: AtDesk, by: By, why: Why = None) -> Response:
    """Works on any instance, and again."""
    return answer(await desk.controls.resume(by, why.note if why else ""))


@router.get(
    "/audit",
    summary="What people did, newest first",
    response_model=Page[AuditRow],
    responses=documented(examples.AUDIT, 422),
)
async def list_audit(desk: AtDesk, window: Paged) -> Response:
    """Who, when, from which address."""
    return answer(await desk.views.audit(window))
