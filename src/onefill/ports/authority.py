"""Knowing whether the store still holds what was committed in it, and what to do if not. CTL-8."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onefill.core.control.authority import Landmark
from onefill.core.ids import Epoch


class Memory(Protocol):
    """What this instance remembers of the store, beyond its own life. Nothing here raises."""

    @property
    def landmark(self) -> Landmark | None:
        """The last that was told, or that an earlier process was told; None: nothing yet."""
        ...

    def remember(self, landmark: Landmark) -> None:
        """Remember this, if it is further; on the disk within a second, or at once when the epoch
        has changed."""
        ...

    def start_anew(self, landmark: Landmark) -> None:
        """Remember this and nothing before: what follows from the loss of that is done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """A loss that is not explained yet. kind: its code. found: in words."""

    noticed_at: datetime
    noticed_by: str
    kind: str
    found: str


class Losses(Protocol):
    """SAFE, as all instances share it. All raise StoreUnavailable."""

    async def look(self) -> LossRow | None:
        """Look how far the store has come, and remember it; the loss that is open, if any."""
        ...

    async def witness_ahead(self, above: Epoch) -> None:
        """The witness has seen this epoch, and the store has not: enter SAFE (CTL-7)."""
        ...

    async def is_quiet(self, epoch: Epoch) -> bool:
        """Whether all that was unsent or unanswered at the loss has been looked up since, or is
        a person's. Raises Fenced."""
        ...

    async def end(self, epoch: Epoch) -> bool:
        """End SAFE, if it is still quiet: reconciliation explained everything. Raises Fenced."""
        ...
