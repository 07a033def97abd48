"""ports.listings.ListingStore on PostgreSQL; decisions read it with their lanes (PF-23)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import date

from onefill.core.ids import Epoch
from onefill.core.instrument import Series
from onefill.postgres.connection import Held

GOOD_FOR = "7 days"
"""A list is good over a long holiday on which its broker can't be asked."""

SERIES_OF_LANE = f"""
(SELECT series FROM listed_contracts c
 WHERE c.instrument = lanes.instrument
   AND c.asked_at > clock_timestamp() - interval '{GOOD_FOR}')"""

_OLD = """
SELECT asked.instrument FROM unnest($1::text[]) AS asked (instrument)
LEFT JOIN listed_contracts c USING (instrument)
WHERE c.asked_at IS NULL OR c.asked_at < clock_timestamp() - $2 * interval '1 second'
ORDER BY 1"""
_KEEP = """
INSERT INTO listed_contracts (instrument, broker, asked_at, series)
VALUES ($1, $2, clock_timestamp(), $3)
ON CONFLICT (instrument) DO UPDATE
SET broker = EXCLUDED.broker, asked_at = EXCLUDED.asked_at, series = EXCLUDED.series"""


class PostgresListings:
    """Belongs to one event loop."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def old(self, instruments: Collection[str], age_s: float) -> Sequence[str]:
        """Those of these whose list is older than that, or was never asked for."""
        rows = await self._held.read(_OLD, list(instruments), age_s)
        return [row["instrument"] for row in rows]

    async def keep(
        self, epoch: Epoch, instrument: str, broker: str, series: Sequence[Series]
    ) -> None:
        """Keep a list in the place of the last one. Raises Fenced."""
        text = json.dumps([[each.expiry.isoformat(), each.units] for each in series])
        async with self._held.guarded(epoch) as transaction:
            await transaction.fetch(_KEEP, instrument, broker, text)

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()


def series_of(text: str | None) -> tuple[Series, ...]:
    """A list as it was kept; empty where there is none that is good."""
    kept = json.loads(text) if text else []
    return tuple(Series(date.fromisoformat(end), units) for end, units in kept)
