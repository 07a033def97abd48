"""Emptying old payloads: in small batches, from where the last run ended. Source: SIG-17.

A batch looks at so many rows by their number, emptied or not, so that it takes as long whether the
log is short or holds millions. What had not ended in its turn is remembered, and asked again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from onefill.core.ids import Epoch
from onefill.postgres.connection import Held, Row, Transaction

ROWS_A_BATCH = 2_000
BATCHES_MAX = 1_000
_LEFT_MAX = 1_000
_KEY = "signal_log_cleaned"

_WHERE = "SELECT value FROM settings WHERE key = $1"
_LOOK = """
SELECT id, received_at < clock_timestamp() - $2 * interval '1 day' AS is_old,
       ended_at IS NOT NULL AS has_ended
FROM signal_log WHERE id > $1 ORDER BY id LIMIT $3"""
_STILL_LEFT = "SELECT id, ended_at IS NOT NULL AS has_ended FROM signal_log WHERE id = ANY($1)"
_EMPTY = """
WITH old AS (
    SELECT id, signal_second FROM signal_log
    WHERE id = ANY($1) AND ended_at IS NOT NULL AND payload <> '{}'
    ORDER BY id FOR NO KEY UPDATE)
UPDATE signal_log s SET payload = '{}' FROM old
WHERE (s.id, s.signal_second) = (old.id, old.signal_second) RETURNING s.id"""
_KEEP = """
INSERT INTO settings (key, value, changed_by) VALUES ($1, $2, 'cleanup')
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, changed_at = clock_timestamp()"""


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to which number all is done, but for those that are left."""

    through: int = 0
    left: tuple[int, ...] = ()

    @classmethod
    def read(cls, rows: Sequence[Row]) -> Mark:
        """As it was kept; from the beginning where nothing was."""
        kept = json.loads(rows[0]["value"]) if rows else {}
        return cls(through=kept.get("through", 0), left=tuple(kept.get("left", ())))

    @property
    def text(self) -> str:
        """To be kept."""
        return json.dumps({"through": self.through, "left": self.left})


async def empty_payloads(held: Held, epoch: Epoch, days: float) -> int:
    """Empty what is old and has ended; how many that were. Raises Fenced."""
    emptied = 0
    for batch in range(BATCHES_MAX):
        async with held.guarded(epoch) as transaction:
            mark = Mark.read(await transaction.fetch(_WHERE, _KEY))
            if batch == 0:
                mark, more = await _ask_again(transaction, mark)
                emptied += more
            mark, more, is_over = await _go_on(transaction, mark, days)
            await transaction.fetch(_KEEP, _KEY, mark.text)
        emptied += more
        if is_over:
            break
    return emptied


async def _ask_again(transaction: Transaction, mark: Mark) -> tuple[Mark, int]:
    """Those that had not ended in their turn."""
    rows = await transaction.fetch(_STILL_LEFT, list(mark.left))
    ended = await transaction.fetch(_EMPTY, [row["id"] for row in rows if row["has_ended"]])
    left = tuple(row["id"] for row in rows if not row["has_ended"])
    return Mark(mark.through, left), len(ended)


async def _go_on(transaction: Transaction, mark: Mark, days: float) -> tuple[Mark, int, bool]:
    """The next rows by number, and whether nothing old comes behind them."""
    rows = await transaction.fetch(_LOOK, mark.through, days, ROWS_A_BATCH)
    first_young = next((n for n, row in enumerate(rows) if not row["is_old"]), len(rows))
    old = rows[:first_young]
    ended = await transaction.fetch(_EMPTY, [row["id"] for row in old if row["has_ended"]])
    left = (*mark.left, *(row["id"] for row in old if not row["has_ended"]))
    through = old[-1]["id"] if old else mark.through
    is_over = first_young < len(rows) or len(rows) < ROWS_A_BATCH
    return Mark(through, left[-_LEFT_MAX:]), len(ended), is_over
