"""Leases in memory: the port's contract on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.lease import Holder, Lease
from turns import turn


@dataclass(slots=True)
class _Row:
    epoch: int
    holder: Holder | None
    until_ms: float
    barred: bool = False


class MemoryLeaseStore:
    """Implements onefill.ports.lease.LeaseStore."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._reigns: list[dict[str, Any]] = []

    async def read(self, resource: str) -> Lease | None:
        await turn()
        row = self._rows.get(resource)
        if row is None:
            return None
        remaining_ms = row.until_ms - self._clock.boottime_ms() if row.holder else 0
        return Lease(
            resource=resource,
            epoch=Epoch(row.epoch),
            holder=row.holder,
            remaining_ms=remaining_ms,
            barred=row.barred,
        )

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        await turn()
        row = self._rows.get(resource)
        if row is None:
            first = int(self._clock.wall().timestamp() * 1e6)
            return None if expected else self._grant(resource, first, claimant, ttl_ms, "election")
        if row.epoch != expected or not self._obtainable(row, claimant):
            return None
        return self._grant(resource, row.epoch + 1, claimant, ttl_ms, "failover")

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        await turn()
        row = self._held(resource, epoch, holder)
        if row is None:
            return False
        row.until_ms = self._clock.boottime_ms() + ttl_ms
        return True

    async def release(
        self, resource: str, epoch: Epoch, holder: Holder, reason: str = "release"
    ) -> bool:
        await turn()
        row = self._held(resource, epoch, holder)
        if row is None:
            return False
        row.holder = None
        self._end(reason, self._clock.wall())
        return True

    async def transfer(
        self, resource: str, epoch: Epoch, holder: Holder, to: Holder, *, ttl_ms: int, reason: str
    ) -> Epoch | None:
        await turn()
        if self._held(resource, epoch, holder) is None:
            return None
        return self._grant(resource, epoch + 1, to, ttl_ms, reason)

    async def force(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        await turn()
        row = self._rows.get(resource)
        if row is None or row.epoch != expected:
            return None
        return self._grant(resource, row.epoch + 1, claimant, ttl_ms, "forced")

    async def between(
        self, resource: str, start: datetime, end: datetime
    ) -> Sequence[Mapping[str, Any]]:
        """Who led, in order."""
        await turn()
        return list(self._reigns)

    def bar(self, resource: str) -> None:
        """As a taker does that dies before it takes."""
        self._rows[resource].barred = True

    def _grant(self, resource: str, epoch: int, to: Holder, ttl_ms: int, why: str) -> Epoch:
        now = self._clock.wall()
        self._end(why, now)
        row = self._rows.get(resource)
        why = "election" if row is None or row.holder is None else why
        facts = {"epoch": epoch, "instance": to.instance, "became_at": now, "reason": why}
        self._reigns.append({**facts, "released_at": None, "end_reason": None})
        self._rows[resource] = _Row(epoch, to, self._clock.boottime_ms() + ttl_ms)
        return Epoch(epoch)

    def _end(self, why: str, now: datetime) -> None:
        if self._reigns and self._reigns[-1]["released_at"] is None:
            self._reigns[-1].update(released_at=now, end_reason=why)

    def _held(self, resource: str, epoch: Epoch, holder: Holder) -> _Row | None:
        row = self._rows.get(resource)
        held = row is not None and row.epoch == epoch and row.holder == holder
        return row if held else None

    def _obtainable(self, row: _Row, claimant: Holder) -> bool:
        if row.holder is None or row.until_ms <= self._clock.boottime_ms():
            return True
        return row.holder.instance == claimant.instance and row.holder.boot != claimant.boot
