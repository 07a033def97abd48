"""Every row of what brokers answer, at the real paper venue: what each adapter makes of it.

The venue's ledger says what was true; nothing that is not listed may ever count as a refusal.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from broker_desk import FINDS_BY_ID, TARGETS, Desk, desk, everywhere, resting
from broker_support import in_doubt, paper_venues
from contract.broker_answers import (
    BINANCE,
    DONE,
    LATE,
    NOT_DONE,
    OPENALGO,
    PLACED,
    REFUSED,
    RETRY,
    UNKNOWN,
    Row,
)
from onefill.core.intent import OrderIntent
from onefill.core.issue import issue_cancel, issue_modify
from onefill.core.orders.report import Carried, NotPlaced, Outcome, Placed, Unknown

__all__ = ["desk", "paper_venues"]

ROWS = {"binance": BINANCE, "openalgo": OPENALGO}
LATE_MS = 60


def cases() -> list[Any]:
    """Each answer with each truth that it may come with, at each adapter and class."""
    return [
        pytest.param(target, row, truth, conclusion, id=f"{'-'.join(target)}-{row.name}-{truth}")
        for target in TARGETS
        for row in ROWS[target[0]]
        for truth, conclusion in row.conclusions(target in FINDS_BY_ID).items()
    ]


def said(outcome: Outcome) -> str:
    """The outcome in the words of the table."""
    match outcome:
        case Placed():
            return PLACED
        case NotPlaced():
            return RETRY if outcome.retry else REFUSED
        case _:
            assert isinstance(outcome, Unknown)
            return UNKNOWN


@pytest.mark.req("ORD-5", "ORD-6", "ORD-12", "Q-4")
@pytest.mark.parametrize(("desk", "row", "truth", "conclusion"), cases(), indirect=["desk"])
async def test_an_answer_proves_what_its_row_says_and_no_more(
    desk: Desk, row: Row, truth: str, conclusion: str
) -> None:
    desk.venue.fault(truth, ms=LATE_MS, status=row.status, body=row.body)
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert said(outcome) == conclusion
    if truth == NOT_DONE:
        assert desk.venue.executions(intent) == 0
        return
    assert not isinstance(outcome, NotPlaced), "it executes"
    await desk.found(in_doubt(prepared))
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-5", "ORD-7")
@everywhere
@pytest.mark.parametrize("truth", [DONE, LATE])
async def test_a_broken_connection_proves_nothing(desk: Desk, truth: str) -> None:
    desk.venue.fault(truth, ms=LATE_MS)
    desk.venue.fault("drop_reply")
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Unknown)
    await desk.found(in_doubt(prepared))
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-5", "ORD-7", "ORD-12")
@everywhere
@pytest.mark.parametrize("verb", ["cancel", "modify"])
async def test_a_change_is_judged_by_its_order_whatever_is_answered(desk: Desk, verb: str) -> None:
    for row in ROWS[desk.broker.name]:
        for truth in () if row.holds_back else (DONE, NOT_DONE):
            order = await resting(desk)
            change = change_of(order, verb, desk)
            fault = {"status": row.status, "body": row.body, "match": {"kind": verb}}
            desk.venue.fault(truth, **fault)
            outcome = await desk.broker.send(await desk.broker.prepare(change))
            assert isinstance(outcome, Carried) or truth == NOT_DONE, row.name
            assert not isinstance(outcome, Carried) or truth == DONE, row.name
            again = await desk.broker.send(await desk.broker.prepare(replace(change, attempt=1)))
            assert isinstance(again, Carried), row.name


def change_of(order: OrderIntent, verb: str, desk: Desk) -> OrderIntent:
    if verb == "cancel":
        return issue_cancel(order, 1)
    return issue_modify(order, 1, quantity=order.order.quantity * 2, price=Decimal(2))
