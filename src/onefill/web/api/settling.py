"""Routes by which a person settles what software can't: quarantined orders, blocked lanes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from onefill.core.orders.ruling import Ruling, RulingRefusal, Verdict
from onefill.ports.rows import OrderStory
from onefill.ports.views import Unblocked
from onefill.web.api import examples
from onefill.web.api.answers import answer, missing, refuse
from onefill.web.api.desk import LONGEST_NAME, PRINTABLE, AtDesk, By, Desk, Id, documented, not_here

router = APIRouter(prefix="/api", tags=["settling"])

Why = Annotated[str, Field(min_length=1, max_length=500, description="Kept in the audit log.")]
Amount = Annotated[Decimal | None, Field(ge=0, max_digits=24, decimal_places=12)]
LaneName = Annotated[str, Path(max_length=LONGEST_NAME, pattern=PRINTABLE)]


class Resolution(BaseModel):
    """What became of a quarantined order, as a person saw it at the broker."""

    model_config = ConfigDict(extra="forbid")

    outcome: Verdict
    broker_order_id: Annotated[
        str | None, Field(min_length=1, max_length=100, pattern=PRINTABLE)
    ] = None
    filled_quantity: Amount = None
    average_price: Amount = None
    note: Why


class Repetition(BaseModel):
    """The confirmation that an order is to be placed again."""

    model_config = ConfigDict(extra="forbid")

    confirm: Annotated[Literal[True], Field(description="Yes, a second order.")]
    note: Why


class Reason(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    note: Why


@router.post(
    "/orders/{client_order_id}/resolve",
    summary="Settle a quarantined order",
    response_model=OrderStory,
    responses=documented(examples.ORDER_STORY, 403, 404, 409, 422),
)
async def resolve(
    desk: AtDesk,
    by: By,
    client_order_id: Id,
    wanted: Annotated[Resolution, Body(examples=[examples.RESOLUTION])],
) -> Response:
    """`not_placed` is final for this intent; what the venue says later still wins, and alarms."""
    if (elsewhere := await not_here(desk)) is not None:
        return elsewhere
    ruling = Ruling(
        verdict=wanted.outcome,
        note=wanted.note,
        broker_order_id=wanted.broker_order_id,
        filled_quantity=wanted.filled_quantity,
        average_price=wanted.average_price,
    )
    refusal = await desk.controls.resolve(client_order_id, ruling, by)
    return await _story(desk, client_order_id, refusal)


@router.post(
    "/orders/{client_order_id}/place-again",
    summary="Place an order again that was ruled out",
    response_model=OrderStory,
    responses=documented(examples.ORDER_STORY, 403, 404, 409, 422),
)
async def place_again(
    desk: AtDesk,
    by: By,
    client_order_id: Id,
    wanted: Annotated[Repetition, Body(examples=[examples.REPETITION])],
) -> Response:
    """A new intent with an id of its own; refused until 60 s after the old one's `send_by`."""
    if (elsewhere := await not_here(desk)) is not None:
        return elsewhere
    result = await desk.controls.place_again(client_order_id, wanted.note, by)
    if isinstance(result, RulingRefusal):
        return await _story(desk, client_order_id, result)
    return await _story(desk, result, None)


@router.post(
    "/orders/{client_order_id}/acknowledge",
    summary="Silence a quarantined order's alarm",
    response_model=OrderStory,
    responses=documented(examples.ORDER_STORY, 403, 404, 409, 422),
)
async def acknowledge(desk: AtDesk, by: By, client_order_id: Id) -> Response:
    """Somebody knows; it stays quarantined, and its lane takes no new exposure."""
    refusal = await desk.controls.acknowledge(client_order_id, by)
    return await _story(desk, client_order_id, refusal)


@router.post(
    "/lanes/{lane:path}/unblock",
    summary="Let a blocked lane take new exposure again",
    response_model=Unblocked,
    responses=documented(examples.UNBLOCKED, 403, 404, 409, 422),
)
async def unblock(
    desk: AtDesk,
    by: By,
    lane: LaneName,
    why: Annotated[Reason, Body(examples=[{"note": "compared with the broker, all is right"}])],
) -> Response:
    """A lane is `portfolio/instrument`. Orders in doubt there still hold new exposure back."""
    if (elsewhere := await not_here(desk)) is not None:
        return elsewhere
    result = await desk.controls.unblock(lane, why.note, by)
    if result is None:
        return missing(f"lane {lane}", "See `blocked_lanes` of GET /api/status.")
    return answer(result)


async def _story(desk: Desk, client_order_id: str, refusal: RulingRefusal | None) -> Response:
    story = await desk.views.order(client_order_id)
    if story is None:
        return missing(f"order {client_order_id}", RulingRefusal.UNKNOWN_ORDER.value)
    if refusal is None:
        return answer(story)
    detail = f"Order {client_order_id} is {story.order.state}, and stays so."
    return refuse(409, "Not possible", detail, refusal.value, reason=refusal.name.lower())
