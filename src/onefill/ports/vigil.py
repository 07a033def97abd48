"""Being seen to live, and seeing others die, by sessions that end with their process (CTL-5)."""

from __future__ import annotations

import asyncio
from typing import Protocol
from uuid import UUID


class Vigil(Protocol):
    """A dead process is noticed in milliseconds; a paused one is not, its lease runs out."""

    async def run(self) -> None:
        """Be seen until cancelled, again after each break."""
        ...

    async def ended(self, boot: UUID) -> None:
        """Return when the process of that boot has ended, or can't be seen to live.

        Raises StoreUnavailable when nobody can say.
        """
        ...


class NoVigil:
    """Where there is no such store: deaths are noticed when leases run out."""

    async def run(self) -> None:
        """Nothing to keep."""

    async def ended(self, boot: UUID) -> None:
        """Nobody can say; never returns by itself."""
        await asyncio.Event().wait()
