"""Who is active, and how that changes: what people see of control, and may do (IF-1)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from onefill.ports.views import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """One step of a takeover."""

    step: str
    at: datetime
    by: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOperation:
    """A takeover that runs, or has just ended."""

    id: str
    requester: str
    expected_epoch: int
    force: bool
    step: str
    ended: bool
    steps: tuple[ShownStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """How this instance stands. Null is «not known», never «no».

    is_active: able to act. other_alive: another instance was heard of just now. last_heartbeat:
    of the active instance (of another one, where this is active). other_stale: the active one has
    fallen silent, so that force is offered.
    """

    instance_id: str
    is_active: bool
    active_instance: str | None
    other_alive: bool | None
    other_stale: bool | None
    last_heartbeat: datetime | None
    can_take_control: bool
    state: str
    epoch: int | None
    redis_connected: bool | None
    database_connected: bool
    operation: ShownOperation | None


class TakeResult(enum.StrEnum):
    """What became of a wish to take control."""

    ALREADY_ACTIVE = "already_active"
    STARTED = "started"
    IN_PROGRESS = "in_progress"
    REFUSED = "refused"  # an old epoch, or not possible; the message says why


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeAnswer:
    """wait_seconds: until it is over at the latest."""

    result: TakeResult
    message: str
    wait_seconds: float
    operation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAnswer:
    """What became of a wish to give control up."""

    success: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """One interval of leadership. ended_at None: it goes on. source: takeover, failover, …"""

    epoch: int
    instance: str
    hostname: str | None
    became_at: datetime
    released_at: datetime | None
    duration_ms: int
    reason: str
    end_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleInstance:
    """An instance that was not heard of for some time (CTL-17). status: `crashed` where its last
    word was that it leads; what is silent is never a leader."""

    instance: str
    status: str
    is_leader: bool
    last_heartbeat: datetime
    stale_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitBrainReport:
    """What each store says. conflict: both name a holder, and their epochs differ; None while the
    database, or a witness that there is, can't be asked, which is never «no conflict» (CTL-7)."""

    redis_leader: str | None
    db_leader: str | None
    redis_epoch: int | None
    db_epoch: int | None
    conflict: bool | None


class Coordination(Protocol):
    """Control as the API sees it. Actions and history raise StoreUnavailable."""

    async def status(self) -> InstanceStatus:
        """How this instance stands, now; answers without a database too."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the status may have changed; the answer unsubscribes."""
        ...

    async def take_control(self, by: Actor, *, force: bool, epoch: int | None) -> TakeAnswer:
        """Begin a takeover by this instance."""
        ...

    async def release_control(self, by: Actor, *, into_nothing: bool) -> ReleaseAnswer:
        """Give control to another instance."""
        ...

    async def history(self, start: datetime, end: datetime) -> tuple[Reign, ...]:
        """Who was active between, in order (CTL-18)."""
        ...

    async def get_stale_instances(self, timeout_s: float) -> tuple[StaleInstance, ...]:
        """Those not heard of for longer than that, the longest first; not those that stopped by
        their own will. Raises StoreUnavailable (CTL-17)."""
        ...

    async def detect_split_brain(self) -> SplitBrainReport:
        """What database and witness say, side by side (CTL-7)."""
        ...

    async def metrics(self) -> Mapping[str, str | float | bool | None]:
        """The coordinator's figures, under the names of IF-5."""
        ...


def operation_id(number: UUID | None) -> str | None:
    """As people see it."""
    return None if number is None else str(number)
