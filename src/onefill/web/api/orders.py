"""Routes that read orders and what was found when they were reconciled."""

from __future__ import annotations

from fastapi import APIRouter, Response

from onefill.core.intent import IntentState
from onefill.ports.rows import OrderRow, OrderStory, ReconciliationRow
from onefill.ports.views import OrderFilter, Page
from onefill.web.api import examples
from onefill.web.api.answers import answer, missing
from onefill.web.api.desk import AtDesk, Id, Name, Paged, documented

router = APIRouter(prefix="/api", tags=["orders"])


@router.get(
    "/orders",
    summary="List order intents, newest first",
    response_model=Page[OrderRow],
    responses=documented(examples.ORDERS, 422),
)
async def list_orders(
    desk: AtDesk,
    window: Paged,
    state: IntentState | None = None,
    lane: Name = None,
    symbol: Name = None,
) -> Response:
    """A lane is `portfolio/instrument`."""
    wanted = OrderFilter(state=state, lane=lane, symbol=symbol)
    return answer(await desk.views.orders(wanted, window))


@router.get(
    "/orders/{client_order_id}",
    summary="One order intent with its attempts and fills",
    response_model=OrderStory,
    responses=documented(examples.ORDER_STORY, 404, 422),
)
async def one_order(desk: AtDesk, client_order_id: Id) -> Response:
    """Every attempt that was ever made durable, and all that was heard of it."""
    story = await desk.views.order(client_order_id)
    if story is None:
        remedy = "See GET /api/orders; the id is the one that onefill gave, not the broker's."
        return missing(f"order {client_order_id}", remedy)
    return answer(story)


@router.get(
    "/reconciliation",
    summary="The last reconciliation with the broker",
    response_model=ReconciliationRow,
    responses=documented(examples.RECONCILIATION, 404),
)
async def last_reconciliation(desk: AtDesk) -> Response:
    """Differences between our book and the broker's, each with its settlement."""
    found = await desk.views.reconciliation()
    if found is None:
        remedy = "Wait: it runs on start, after each takeover, and regularly."
        return missing("reconciliation yet", remedy)
    return answer(found)
