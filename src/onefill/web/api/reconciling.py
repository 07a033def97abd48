"""Routes by which a person compares our book with the brokers', and accepts what they looked at."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.ports.rows import ReconciliationRow
from onefill.ports.views import ReconcileWish
from onefill.web.api import examples
from onefill.web.api.answers import answer, missing, refuse
from onefill.web.api.desk import PRINTABLE, AtDesk, By, Desk, documented, not_here

router = APIRouter(prefix="/api/reconciliation", tags=["reconciliation"])

_Short = Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)]


class HandPrice(BaseModel):
    """What was paid or got by hand, on average, for what a symbol's books differ by."""

    model_config = ConfigDict(extra="forbid")

    broker: _Short
    account: _Short
    symbol: _Short
    price: Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=12)]


class Wish(BaseModel):
    """How to reconcile."""

    model_config = ConfigDict(extra="forbid")

    apply: Annotated[
        bool,
        Field(
            description="Book all that brokers say of our own orders, and what orders by hand "
            "explain, as proposed."
        ),
    ] = False
    prices: Annotated[
        list[HandPrice],
        Field(max_length=100, description="Of what was traded by hand: it is booked at these."),
    ] = []
    note: Annotated[str, Field(max_length=500, description="Why.")] = ""


class Acceptance(BaseModel):
    """An order at a broker that a person has looked at."""

    model_config = ConfigDict(extra="forbid")

    broker: _Short
    account: _Short
    broker_order_id: _Short
    note: Annotated[str, Field(min_length=1, max_length=500)]


@router.post(
    "/run",
    summary="Compare with the brokers now",
    response_model=ReconciliationRow,
    responses=documented(examples.RECONCILIATION, 403, 404, 409, 422),
)
async def run(
    desk: AtDesk, by: By, wish: Annotated[Wish | None, Body(examples=[{"apply": False}])] = None
) -> Response:
    """Answers when the report is stored. Nothing is sent to a broker but questions."""
    if (elsewhere := await not_here(desk)) is not None:
        return elsewhere
    asked = wish or Wish()
    await desk.controls.record("reconciliation.run", asked.model_dump(mode="json"), by)
    prices = {(each.broker, each.account, each.symbol): each.price for each in asked.prices}
    return await _reconcile(
        desk, ReconcileWish(apply=asked.apply, prices=prices, by=by, note=asked.note)
    )


@router.post(
    "/accept",
    summary="Accept an order with our mark that no intent explains",
    response_model=ReconciliationRow,
    responses=documented(examples.RECONCILIATION, 403, 404, 409, 422),
)
async def accept(
    desk: AtDesk, by: By, order: Annotated[Acceptance, Body(examples=[examples.ACCEPTANCE])]
) -> Response:
    """It blocks no more: a person has looked at it. Answers with a new comparison."""
    if (elsewhere := await not_here(desk)) is not None:
        return elsewhere
    await desk.controls.accept_order(
        order.broker, order.account, order.broker_order_id, order.note, by
    )
    return await _reconcile(desk, ReconcileWish())


async def _reconcile(desk: Desk, wish: ReconcileWish) -> Response:
    if not await desk.reconcile(wish):
        remedy = "See GET /api/reconciliation in a moment, and this instance's log."
        return refuse(503, "Not done in time", "The brokers were slow to answer.", remedy)
    found = await desk.views.reconciliation()
    return answer(found) if found is not None else missing("reconciliation yet", "Ask again.")
