"""Routes for what a portfolio earned, what is paid in and out, and closing by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.ports.figures import (
    CapitalMoved,
    CapitalRefusal,
    Closing,
    ClosingRefusal,
    EquityCurve,
    StatisticsReport,
)
from onefill.web.api import examples_money as examples
from onefill.web.api.answers import answer, missing, refuse
from onefill.web.api.desk import LONGEST_NAME, PRINTABLE, AtDesk, By, Desk, Id, documented

router = APIRouter(prefix="/api", tags=["portfolio"])

Portfolio = Annotated[str, Query(max_length=LONGEST_NAME, pattern=PRINTABLE)]
_BEGINS = "It begins with its first signal, or with PUT /api/portfolios/{portfolio}."


class WantedMovement(BaseModel):
    """Money paid in (positive) or out (negative)."""

    model_config = ConfigDict(extra="forbid")

    portfolio: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = "main"
    amount: Annotated[Decimal, Field(max_digits=18, decimal_places=2)]
    note: Annotated[str, Field(max_length=500)] = ""
    reference: Annotated[
        str | None,
        Field(max_length=100, description="Your name of it; the same one is booked once."),
    ] = None


class WantedClosing(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=150, pattern=PRINTABLE)] = ""


@router.get(
    "/statistics",
    summary="How well a portfolio trades",
    response_model=StatisticsReport,
    responses=documented(examples.STATISTICS, 404, 422),
)
async def statistics(desk: AtDesk, portfolio: Portfolio = "main") -> Response:
    """Of each instrument and, under `ALL`, of all together; computed from fills at this moment."""
    report = await desk.views.statistics(portfolio)
    return missing(f"portfolio {portfolio}", _BEGINS) if report is None else answer(report)


@router.get(
    "/equity",
    summary="A portfolio's closed equity over time",
    response_model=EquityCurve,
    responses=documented(examples.EQUITY, 404, 422),
)
async def equity(desk: AtDesk, portfolio: Portfolio = "main") -> Response:
    """A point for each end of a trade and each movement, with the drawdown there."""
    curve = await desk.views.equity(portfolio)
    return missing(f"portfolio {portfolio}", _BEGINS) if curve is None else answer(curve)


@router.post(
    "/capital",
    summary="Pay in, or out",
    response_model=CapitalMoved,
    responses=documented(examples.MOVED, 403, 409, 422),
)
async def move_capital(
    desk: AtDesk,
    by: By,
    wanted: Annotated[
        WantedMovement, Body(examples=[{"amount": "250000", "reference": "2026-01-payin"}])
    ],
) -> Response:
    """A line in the ledger, never an edit. Give a `reference`, and it can be repeated safely."""
    result = await desk.controls.move_capital(
        wanted.portfolio, wanted.amount, wanted.note, wanted.reference, by
    )
    if isinstance(result, CapitalRefusal):
        detail = f"Nothing was moved in portfolio {wanted.portfolio}."
        return refuse(409, "Not possible", detail, result.value, reason=result.name.lower())
    return answer(result)


@router.post(
    "/positions/{position_id}/close",
    summary="Close a position",
    response_model=Closing,
    responses=documented(examples.CLOSING, 403, 404, 409, 422),
)
async def close_position(
    desk: AtDesk,
    by: By,
    position_id: Id,
    why: Annotated[WantedClosing | None, Body(examples=[{"note": "news at noon"}])] = None,
) -> Response:
    """Logs an exit signal for it, which the active instance decides like any other. See
    `GET /api/signals/{signal_id}` for what becomes of it."""
    if not desk.node().is_active:
        return await _not_active(desk)
    result = await desk.controls.close_position(position_id, why.note if why else "", by)
    if result is ClosingRefusal.NO_POSITION:
        return missing(f"position {position_id}", result.value)
    if isinstance(result, ClosingRefusal):
        detail = f"Position {position_id} can't be closed."
        return refuse(409, "Not possible", detail, result.value, reason=result.name.lower())
    return answer(result)


async def _not_active(desk: Desk) -> Response:
    """Who is active, for the caller to turn to."""
    leader = await desk.views.leader()
    name = leader.instance if leader is not None else None
    url = leader.url if leader is not None else None
    remedy = f"Ask {name} at {url}." if name else "Wait until an instance is active."
    return refuse(
        409,
        "Not active",
        f"{desk.node().instance} is not active.",
        remedy,
        active_instance=name,
        url=url,
    )
