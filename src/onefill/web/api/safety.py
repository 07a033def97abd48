"""The route that ends SAFE on a person's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.ports.authority import LossRow
from onefill.web.api import examples
from onefill.web.api.answers import answer, refuse
from onefill.web.api.desk import AtDesk, By, documented

router = APIRouter(prefix="/api/ginie", tags=["control"])


class Confirmation(BaseModel):
    """yes: you have compared what is open at the brokers with what is shown here. note: why."""

    model_config = ConfigDict(extra="forbid")

    yes: bool = False
    note: Annotated[str, Field(max_length=500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the database had lost, and is settled now."""

    ended: tuple[LossRow, ...]


_CONFIRMED = {"yes": True, "note": "compared by hand"}


@router.post(
    "/end-safe",
    summary="Trade again after the database lost commits, on a person's word",
    response_model=Ended,
    responses=documented(Ended(ended=(examples.LOSS,)), 403, 409, 422),
)
async def end_safe(
    desk: AtDesk, by: By, sure: Annotated[Confirmation | None, Body(examples=[_CONFIRMED])] = None
) -> Response:
    """Works on any instance. What differs from the brokers stays as it is, and is shown."""
    if sure is None or not sure.yes:
        remedy = 'Look at GET /api/reconciliation and at the brokers, then send {"yes": true}.'
        return refuse(409, "Not confirmed", "Orders may differ from the brokers'.", remedy)
    ended = await desk.controls.end_safe(sure.note, by)
    if not ended:
        return refuse(409, "Not SAFE", "The database has lost nothing.", "Nothing to do.")
    return answer(Ended(ended=ended))
