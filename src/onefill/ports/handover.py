"""Requests for control, as everybody sees them: one operation for each epoch (CTL-11, CTL-12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from onefill.core.control.handover import ENDS, Request, Step
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """One step of a takeover, by whom it was taken, and why where that helps a person."""

    step: Step
    at: datetime
    by: str
    detail: str | None = None


def in_order(steps: Sequence[StepTaken]) -> tuple[StepTaken, ...]:
    """As they were recorded, the end last.

    The holder records its steps beside the way, so that one may be recorded after the end that it
    made possible; it was taken before it.
    """
    ends = [taken for taken in steps if taken.step in ENDS]
    latest = ends[-1].at if ends else None
    on_the_way = [taken for taken in steps if taken.step not in ENDS]
    if latest is not None:
        on_the_way = [replace(taken, at=min(taken.at, latest)) for taken in on_the_way]
    return (*on_the_way, *ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One takeover. expected: the epoch that it wants to end. age_ms by the store's clock."""

    id: UUID
    resource: str
    expected: Epoch
    requester: Holder
    by_force: bool
    steps: tuple[StepTaken, ...]
    is_ready: bool
    has_ended: bool
    age_ms: float

    @property
    def step(self) -> Step:
        """The latest one."""
        return self.steps[-1].step

    @property
    def request(self) -> Request:
        """What the holder's rules need of it."""
        return Request(
            expected=self.expected,
            is_ready=self.is_ready,
            has_ended=self.has_ended,
            age_ms=self.age_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A wish for control. patience_ms: after so long another may take the request's place."""

    id: UUID
    resource: str
    expected: Epoch
    requester: Holder
    by_force: bool
    patience_ms: int


class HandoverStore(Protocol):
    """Durable requests, keyed by (resource, expected epoch). All raise StoreUnavailable."""

    async def open(self, wanted: NewRequest) -> Operation:
        """The one operation of this epoch: the wanted one (its id tells), or the one that runs."""
        ...

    async def current(self, resource: str, expected: Epoch) -> Operation | None:
        """The operation that wants this epoch to end."""
        ...

    async def latest(self, resource: str) -> Operation | None:
        """The operation begun last, ended or not."""
        ...

    async def note(self, operation: UUID, step: Step, by: str, detail: str | None = None) -> None:
        """Add a step; READY lets the holder begin, ACTIVE and FAILED end the operation."""
        ...
