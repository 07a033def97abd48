"""The right to act: a lease on a resource, whose epoch fences every guarded write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from onefill.core.ids import Epoch

LEADER = "leader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A running process: its instance's name, and the boot that tells restarts apart."""

    instance: str
    boot: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as the store sees it. remaining_ms is by the store's clock; ≤ 0 is expired.

    has_died: the store knows that the holder's process has ended, whatever remains (CTL-5).
    """

    resource: str
    epoch: Epoch
    holder: Holder | None
    remaining_ms: float
    barred: bool = False
    has_died: bool = False

    @property
    def is_vacant(self) -> bool:
        """Whether nobody holds it who could still renew it."""
        return self.holder is None or self.has_died or self.remaining_ms <= 0


class LeaseStore(Protocol):
    """Each change is one compare-and-set on the expected epoch (CTL-2).

    Every call raises StoreUnavailable when the store does not answer within its time-out.
    """

    async def read(self, resource: str) -> Lease | None:
        """The lease now; None when nobody ever held it."""
        ...

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it as epoch `expected` + 1, if nobody holds it, it expired by the store's clock,
        its holder has died, or its holder is an earlier boot of the same instance; else None.
        Where nobody ever held it (expected 0), its first epoch is the store's Unix time in
        microseconds, so that a store that lost everything repeats no epoch (CTL-8).

        When it returns, no transaction of an earlier epoch can commit any more (CTL-1, CTL-6).
        """
        ...

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        """Prolong it; False means that this epoch is over."""
        ...

    async def transfer(
        self, resource: str, epoch: Epoch, holder: Holder, to: Holder, *, ttl_ms: int, reason: str
    ) -> Epoch | None:
        """Hand it to another, as epoch + 1, without a moment of vacancy; None when it was not
        held any more. reason: for the history. The holder has stopped all effects before."""
        ...

    async def force(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it from whoever holds it, as epoch `expected` + 1; None when it is past that.

        When it returns, no transaction of an earlier epoch can commit any more (CTL-6).
        """
        ...

    async def release(
        self, resource: str, epoch: Epoch, holder: Holder, reason: str = "release"
    ) -> bool:
        """Give it up, keeping the epoch; False when it was not held any more. reason: for the
        history."""
        ...
