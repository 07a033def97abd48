"""What was ever heard of each attempt, kept as it was said. Evidence is never lost (ORD-4)."""

from __future__ import annotations

from collections.abc import Sequence

from onefill.core.orders.hearing import Told
from onefill.keeping.evidence import PLACED, Word, words_of
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Transaction

_WORD: Columns[Word] = Columns(
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
  AND (a.outcome IS DISTINCT FROM '{PLACED}' OR word.outcome = '{PLACED}')
  AND (a.outcome, a.detail, a.broker_order_id)
      IS DISTINCT FROM (word.outcome, word.detail, word.broker_order_id)"""


async def keep(transaction: Transaction, told: Sequence[Told]) -> None:
    """Write the strongest, then the last word on each attempt."""
    words = words_of(told)
    if words:
        await transaction.fetch(_KEEP, *_WORD.arrays(words))
