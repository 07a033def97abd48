"""What brokers list of each instrument, kept for all instances (PF-23)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from onefill.core.ids import Epoch
from onefill.core.instrument import Series


class ListingStore(Protocol):
    """Lists of contracts. Raises StoreUnavailable."""

    async def old(self, instruments: Collection[str], age_s: float) -> Sequence[str]:
        """Those of these instruments whose list is older than that, or was never asked for."""
        ...

    async def keep(
        self, epoch: Epoch, instrument: str, broker: str, series: Sequence[Series]
    ) -> None:
        """Keep a list in the place of the last one; an empty one says that there is none.

        Raises Fenced when the epoch is over.
        """
        ...
