"""What was heard of each attempt, as evidence to be kept: never lost, never weakened (ORD-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onefill.core.orders.hearing import Ruled, Told, Unsettled
from onefill.core.orders.report import Absent, Carried, NotPlaced, NotSent, Placed, Unknown

PLACED = "placed"


@dataclass(frozen=True, slots=True)
class Word:
    """One word about one attempt, as it is kept."""

    client_order_id: str
    attempt: int
    outcome: str
    detail: str | None = None
    broker_order_id: str | None = None


def words_of(told: Sequence[Told]) -> list[Word]:
    """The strongest, then the last word on each attempt, in the order of their orders.

    That the venue has it is never overwritten by anybody who did not see it.
    """
    words: dict[tuple[str, int], Word] = {}
    for item in told:
        word = _word(item)
        key = (word.client_order_id, word.attempt)
        if word.outcome == PLACED or key not in words or words[key].outcome != PLACED:
            words[key] = word
    return [words[key] for key in sorted(words)]


def _word(told: Told) -> Word:
    outcome, detail, broker_order_id = _said(told)
    return Word(told.client_order_id, told.attempt, outcome, detail, broker_order_id)


def _said(told: Told) -> tuple[str, str | None, str | None]:
    match told.word:
        case Placed(report=report):
            return PLACED, report.message or report.status.value, report.broker_order_id or None
        case NotPlaced(reason=reason):
            return "not_placed", reason, None
        case NotSent(detail=detail):
            return "not_sent", detail, None
        case Unknown(detail=detail):
            return "unknown", detail, None
        case Absent(conclusive=conclusive, detail=detail):
            return ("absent" if conclusive else "not_found"), detail, None
        case Unsettled(detail=detail):
            return "unsettled", detail, None
        case Carried(report=report):
            return "carried_out", report.message or report.status.value, None
        case Ruled(note=note):
            return "ruled_out", note, None
