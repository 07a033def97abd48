"""What the missed-signal watch reads, and where it keeps what it found (SIG-21)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from onefill.core.ids import Epoch
from onefill.core.watch import Heard, Miss

JOB = "missed_signals"
"""The watch's name among the jobs; its first run is since when anybody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of what is missed since the last look. over: what came right, in its words."""

    raised: Sequence[Miss] = ()
    over: Sequence[str] = ()


class WatchStore(Protocol):
    """Both raise StoreUnavailable."""

    async def heard(self, instruments: Collection[str]) -> Heard:
        """What was heard of these instruments, in portfolios that trade by the clock."""
        ...

    async def keep(self, epoch: Epoch, found: Sequence[Miss]) -> Changes:
        """Record what is missed now, and end what is missed no more. Raises Fenced."""
        ...
