"""Where signals wait that the signal log could not take. Source: SIG-16."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A valid, authenticated signal's body without its secret, and when it came."""

    received_at: datetime
    payload: str


class Kept(enum.StrEnum):
    """What became of a wish to spool."""

    KEPT = "kept"  # it survives a crash from now on
    FULL = "full"
    FAILED = "failed"  # the disk refused it


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The oldest signals of the spool; name: what to forget once they are in the log."""

    name: str
    signals: Sequence[Spooled]


class Spool(Protocol):
    """Evidence of what was answered with 503. Nothing here raises for a bad disk."""

    @property
    def waiting(self) -> int:
        """How many signals wait."""
        ...

    async def keep(self, signal: Spooled) -> Kept:
        """Write it down; concurrent calls share one fsync."""
        ...

    async def oldest(self) -> Batch | None:
        """The signals that wait for longest; None when nothing waits."""
        ...

    async def forget(self, batch: Batch) -> None:
        """All of them are in the log."""
        ...
