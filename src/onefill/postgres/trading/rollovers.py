"""The scan for positions whose contract ends: it only marks them; their lanes do the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from onefill.core.ids import Epoch
from onefill.core.position import Position
from onefill.postgres.connection import Held, Row
from onefill.postgres.faults import Conflicted
from onefill.postgres.rows import position_of

_ATTEMPTS_MAX = 10
MustRoll = Callable[[Position, datetime], bool]
"""Whether a position must roll at that moment."""

# Replays roll by their signals' own times, as part of deciding these.
_OPEN = """
SELECT p.*, clock_timestamp() AS moment
FROM portfolio_positions p JOIN portfolio_state s ON s.portfolio = p.portfolio
WHERE s.time_basis = 'now' AND p.status = 'open' AND p.expiry IS NOT NULL
  AND p.rollover_status IN ('none', 'rolled')"""
_LOCK_LANES = "SELECT FROM lanes WHERE lane = ANY($1) ORDER BY lane FOR NO KEY UPDATE"
_MARK = """
UPDATE portfolio_positions SET rollover_status = 'pending', version = version + 1
WHERE position_id = ANY($1) AND status = 'open' AND rollover_status IN ('none', 'rolled')
RETURNING position_id"""


class PostgresRollovers:
    """Belongs to one event loop."""

    def __init__(self, held: Held, must_roll: MustRoll) -> None:
        self._held = held
        self._must_roll = must_roll

    async def scan(self, epoch: Epoch) -> str:
        """Mark what must roll, under the locks of its lanes, so that no decision is disturbed."""
        rows = await self._held.read(_OPEN)
        due = [row for row in rows if self._must_roll(position_of(row, ()), row["moment"])]
        marked: list[str] = []
        for left in reversed(range(_ATTEMPTS_MAX if due else 0)):
            try:
                marked = await self._mark(epoch, due)
                break
            except Conflicted:
                if not left:
                    raise
        return json.dumps({"looked_at": len(rows), "marked": marked})

    async def _mark(self, epoch: Epoch, due: Sequence[Row]) -> list[str]:
        async with self._held.guarded(epoch, serializable=True) as transaction:
            await transaction.fetch(_LOCK_LANES, sorted({row["lane"] for row in due}))
            found = await transaction.fetch(_MARK, [row["position_id"] for row in due])
        return [row["position_id"] for row in found]

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()
