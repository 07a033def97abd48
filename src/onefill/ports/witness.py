"""A second memory of the highest epoch, beside the authority; it never decides who leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from onefill.core.ids import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What the witness remembers: the highest epoch it was told of (0: none) and its holder."""

    epoch: Epoch
    holder: str | None


class Witness(Protocol):
    """Every call ends within the lease's call time-out and raises nothing: None is «unknown»."""

    @property
    def connected(self) -> bool | None:
        """Whether it answers now; None where there is none."""
        ...

    async def read(self, resource: str) -> Witnessed | None:
        """What it remembers; None when it can't be asked."""
        ...

    async def write(self, resource: str, epoch: Epoch, holder: str | None) -> Witnessed | None:
        """Remember this, unless a higher epoch is remembered; in one step.

        Answers what it remembers afterwards: an epoch above the one told means that the authority
        has lost commits (CTL-7). None when it can't be asked.
        """
        ...

    async def close(self) -> None:
        """Let the connection go."""
        ...


class NoWitness:
    """Where there is no Redis: everything is unknown, and nothing is claimed."""

    @property
    def connected(self) -> bool | None:
        """There is none."""
        return None

    async def read(self, resource: str) -> Witnessed | None:
        """Unknown."""
        return None

    async def write(self, resource: str, epoch: Epoch, holder: str | None) -> Witnessed | None:
        """Unknown."""
        return None

    async def close(self) -> None:
        """Nothing to let go."""
