"""Routes that read signals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from onefill.core.signal import SignalKind, SignalStatus
from onefill.ports.rows import SignalRow, SignalStory
from onefill.ports.views import Page, SignalFilter
from onefill.web.api import examples
from onefill.web.api.answers import answer, missing
from onefill.web.api.desk import LARGEST_ID, AtDesk, Moment, Name, Paged, documented
from onefill.web.why import Why, explain

router = APIRouter(prefix="/api/signals", tags=["signals"])


@router.get(
    "",
    summary="List signals, newest first",
    response_model=Page[SignalRow],
    responses=documented(examples.SIGNALS, 422),
)
async def list_signals(
    desk: AtDesk,
    window: Paged,
    *,
    status: SignalStatus | None = None,
    kind: SignalKind | None = None,
    portfolio: Name = None,
    instrument: Name = None,
    since: Moment = None,
    until: Moment = None,
) -> Response:
    """since (included) and until (excluded) are times of receipt."""
    wanted = SignalFilter(
        status=status,
        kind=kind,
        portfolio=portfolio,
        instrument=instrument,
        since=since,
        until=until,
    )
    return answer(await desk.views.signals(wanted, window))


@router.get(
    "/{signal_id}",
    summary="One signal with its whole timeline",
    response_model=SignalStory,
    responses=documented(examples.SIGNAL_STORY, 404, 422),
)
async def one_signal(
    desk: AtDesk,
    signal_id: Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[examples.SIGNAL.id])],
) -> Response:
    """Received → decided, with the decision's numbers and limiter → orders with their attempts →
    fills, and the positions that it touched."""
    story = await desk.views.signal(signal_id)
    if story is None:
        return missing(f"signal {signal_id}", "See GET /api/signals for those that there are.")
    return answer(story)


@router.get(
    "/{signal_id}/why",
    summary="Why a signal did or did not trade",
    response_model=Why,
    responses=documented(explain(examples.SIGNAL_STORY), 404, 422),
)
async def why(
    desk: AtDesk,
    signal_id: Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[examples.SIGNAL.id])],
) -> Response:
    """Everything that is known of it, in words and numbers, in the order in which it went."""
    story = await desk.views.signal(signal_id)
    if story is None:
        return missing(f"signal {signal_id}", "See GET /api/signals for those that there are.")
    return answer(explain(story))
