"""What was ever heard of each attempt, kept as it was said. Evidence is never lost (ORD-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onefill.core.hearing import Ruled, Told, Unsettled
from onefill.core.report import Absent, Carried, NotPlaced, NotSent, Placed, Unknown
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Transaction

_PLACED = "placed"


@dataclass(frozen=True, slots=True)
class _Word:
    """One word as a row."""

    client_order_id: str
    attempt: int
    outcome: str
    detail: str | None = None
    broker_order_id: str | None = None


_WORD: Columns[_Word] = Columns(
    (
        Column("client_order_id", "text", lambda w: w.client_order_id),
        Column("attempt", "integer", lambda w: w.attempt),
        Column("outcome", "text", lambda w: w.outcome),
        Column("detail", "text", lambda w: w.detail),
        Column("broker_order_id", "text", lambda w: w.broker_order_id),
    )
)

# That the venue has it is never overwritten by anybody who did not see it.
_KEEP = f"""
UPDATE order_attempts a
SET outcome = word.outcome, outcome_at = clock_timestamp(), detail = word.detail,
    broker_order_id = coalesce(word.broker_order_id, a.broker_order_id)
FROM {_WORD.unnest(alias="word")}
WHERE a.client_order_id = word.client_order_id AND a.attempt = word.attempt
  AND (a.outcome IS DISTINCT FROM '{_PLACED}' OR word.outcome = '{_PLACED}')
  AND (a.outcome, a.detail, a.broker_order_id)
      IS DISTINCT FROM (word.outcome, word.detail, word.broker_order_id)"""


async def keep(transaction: Transaction, told: Sequence[Told]) -> None:
    """Write the strongest, then the last word on each attempt."""
    words: dict[tuple[str, int], _Word] = {}
    for item in told:
        word = _word(item)
        key = (word.client_order_id, word.attempt)
        if word.outcome == _PLACED or key not in words or words[key].outcome != _PLACED:
            words[key] = word
    if words:
        ordered = [words[key] for key in sorted(words)]
        await transaction.fetch(_KEEP, *_WORD.arrays(ordered))


def _word(told: Told) -> _Word:
    outcome, detail, broker_order_id = _said(told)
    return _Word(told.client_order_id, told.attempt, outcome, detail, broker_order_id)


def _said(told: Told) -> tuple[str, str | None, str | None]:
    match told.word:
        case Placed(report=report):
            return _PLACED, report.message or report.status.value, report.broker_order_id or None
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
