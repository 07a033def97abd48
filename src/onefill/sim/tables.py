"""What the simulated database holds: rows as the real one has them, in the words of the core."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from onefill.core.book import Mark
from onefill.core.control.handover import ENDS
from onefill.core.ids import ClientOrderId, Epoch, Lane, PositionId
from onefill.core.intent import FINAL, IntentState, OrderIntent
from onefill.core.orders.hearing import Fill
from onefill.core.position import Position
from onefill.core.signal import END_STATUSES, SignalStatus
from onefill.ports.handover import NewRequest, StepTaken
from onefill.ports.lease import Holder
from onefill.ports.peers import Peer
from onefill.ports.signal_log import NewSignal

INITIAL_CAPITAL = 5_000_000


@dataclass(slots=True)
class SignalRow:
    """One logged signal."""

    id: int
    new: NewSignal
    received_at: datetime
    status: SignalStatus = SignalStatus.RECEIVED
    reason: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in END_STATUSES


@dataclass(slots=True)
class LaneRow:
    """One lane."""

    lane: Lane
    portfolio: str
    blocked: str | None = None
    last_decided: datetime | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(slots=True)
class Making:
    """Who made an intent's current attempt, and since when nobody knows what became of it."""

    created_at: datetime
    holder: Holder | None = None
    changed_at: datetime | None = None
    doubted_at: datetime | None = None


@dataclass(slots=True)
class Attempt:
    """One attempt to send. denied: it was written down that it never reached the broker."""

    boot: UUID
    epoch: Epoch | None
    request_hash: bytes
    send_by: datetime
    denied: bool = False


@dataclass(slots=True)
class LeaseRow:
    """The lease on `leader`. Times are the database's, in seconds of the world.

    is_watched: whether its holder keeps a session by which its death would be seen.
    """

    epoch: Epoch
    holder: Holder | None
    until_s: float
    barred: bool = False
    is_watched: bool = False


@dataclass(slots=True)
class InstanceRow:
    """An instance's last heartbeat."""

    peer: Peer
    beaten_s: float


@dataclass(slots=True)
class RequestRow:
    """A wish for control, and how far it came."""

    wanted: NewRequest
    opened_s: float
    steps: list[StepTaken]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return any(taken.step in ENDS for taken in self.steps)


@dataclass(slots=True)
class Changes:
    """What a transaction is going to write. lanes: their marks; blocks: why, by lane.

    signals: id, status, reason; reopen: whether a signal that has ended may change. versions: of
    the positions, as they were read.
    """

    new_intents: list[OrderIntent] = field(default_factory=list)
    intents: list[OrderIntent] = field(default_factory=list)
    attempts: dict[tuple[ClientOrderId, int], Attempt] = field(default_factory=dict)
    holders: dict[ClientOrderId, Holder] = field(default_factory=dict)
    denied: set[tuple[ClientOrderId, int]] = field(default_factory=set)
    words: list[object] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    signals: list[tuple[int, SignalStatus, str | None]] = field(default_factory=list)
    reopen: bool = False
    marks: list[tuple[Lane, datetime | None, tuple[Mark, ...]]] = field(default_factory=list)
    blocks: dict[Lane, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tables:
    """Everything that is committed."""

    lease: LeaseRow | None = None
    signals: dict[int, SignalRow] = field(default_factory=dict)
    by_fingerprint: dict[bytes, int] = field(default_factory=dict)
    lanes: dict[Lane, LaneRow] = field(default_factory=dict)
    intents: dict[ClientOrderId, OrderIntent] = field(default_factory=dict)
    makings: dict[ClientOrderId, Making] = field(default_factory=dict)
    attempts: dict[tuple[ClientOrderId, int], Attempt] = field(default_factory=dict)
    positions: dict[PositionId, Position] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    instances: dict[str, InstanceRow] = field(default_factory=dict)
    requests: list[RequestRow] = field(default_factory=list)

    def live_intents(self) -> list[OrderIntent]:
        """What may still fill, oldest first."""
        return [intent for intent in self.intents.values() if intent.state not in FINAL]

    def in_states(self, *states: IntentState) -> list[OrderIntent]:
        """The intents in these states, oldest first."""
        return [intent for intent in self.intents.values() if intent.state in states]
