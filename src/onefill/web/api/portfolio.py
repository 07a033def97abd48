"""Routes for positions and portfolios."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.core.book import Sizing, TimeBasis
from onefill.ports.rows import PortfolioRow, PositionRow, PositionStory
from onefill.ports.views import Page, PortfolioSettings, PositionFilter, SettingsRefusal
from onefill.web.api import examples
from onefill.web.api import examples_money as money_examples
from onefill.web.api.answers import answer, missing, refuse
from onefill.web.api.desk import (
    LONGEST_NAME,
    PRINTABLE,
    AtDesk,
    By,
    Id,
    Name,
    Paged,
    documented,
    example_of,
)

router = APIRouter(prefix="/api", tags=["portfolio"])


class WantedSettings(BaseModel):
    """How a portfolio shall size, and by which time freshness is judged."""

    model_config = ConfigDict(extra="forbid")

    sizing: Sizing
    time_basis: TimeBasis
    initial_capital: Annotated[
        Decimal | None,
        Field(gt=0, max_digits=18, decimal_places=2, description="Of a new portfolio only."),
    ] = None


@router.get(
    "/positions",
    summary="List positions, newest first",
    response_model=Page[PositionRow],
    responses=documented(examples.POSITIONS, 422),
)
async def list_positions(
    desk: AtDesk,
    window: Paged,
    portfolio: Name = None,
    instrument: Name = None,
    closed: Annotated[bool, Query(description="Show closed ones too.")] = False,
) -> Response:
    """With legs, stops, profit realised and not, and contributions in percent of equity."""
    wanted = PositionFilter(portfolio=portfolio, instrument=instrument, closed=closed)
    return answer(await desk.views.positions(wanted, window))


@router.get(
    "/positions/{position_id}",
    summary="One position with its orders",
    response_model=PositionStory,
    responses=documented(examples.POSITION_STORY, 404, 422),
)
async def one_position(desk: AtDesk, position_id: Id) -> Response:
    """Open or closed."""
    story = await desk.views.position(position_id)
    if story is None:
        remedy = "See GET /api/positions?closed=true for those that there are."
        return missing(f"position {position_id}", remedy)
    return answer(story)


@router.get(
    "/portfolio",
    summary="A portfolio's equity, risk and settings",
    response_model=PortfolioRow,
    responses=documented(examples.PORTFOLIO, 404, 422),
)
async def one_portfolio(
    desk: AtDesk,
    portfolio: Annotated[str, Query(max_length=LONGEST_NAME, pattern=PRINTABLE)] = "main",
) -> Response:
    """Closed, open and blended equity; `unpriced` positions are not in `unrealised`."""
    found = await desk.views.portfolio(portfolio)
    if found is None:
        remedy = "It begins with its first signal, or with PUT /api/portfolios/{portfolio}."
        return missing(f"portfolio {portfolio}", remedy)
    return answer(found)


@router.put(
    "/portfolios/{portfolio}",
    summary="Set up a portfolio",
    response_model=PortfolioSettings,
    responses=documented(money_examples.SETTINGS, 403, 409, 422),
)
async def configure_portfolio(
    desk: AtDesk,
    by: By,
    portfolio: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,64}$", examples=["replay"])],
    wanted: Annotated[WantedSettings, Body(examples=[example_of(money_examples.SETTINGS)])],
) -> Response:
    """Make a portfolio, or change how it sizes and judges freshness: `signal` is for replays.
    Refused once it has had a live order."""
    settings = PortfolioSettings(
        sizing=wanted.sizing,
        time_basis=wanted.time_basis,
        initial_capital=wanted.initial_capital,
    )
    result = await desk.controls.configure(portfolio, settings, by)
    if isinstance(result, SettingsRefusal):
        detail = f"The settings of portfolio {portfolio} stay as they are."
        return refuse(409, "Not possible", detail, result.value, reason=result.name.lower())
    return answer(result)
