"""What a simulated process finds when it starts, and what its parts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from onefill.core.control.succession import Heir
from onefill.core.ids import Epoch, Lane
from onefill.core.orders.report import Outcome
from onefill.core.signal import SignalStatus
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.broker import Prepared
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import Holder
from onefill.ports.metrics import Metrics
from onefill.sim.connection import Held
from onefill.sim.database import Database
from onefill.sim.leases import SimLeaseStore
from onefill.sim.leases import Witness as LeaseWitness
from onefill.sim.loop import Timeline
from onefill.sim.neighbours import Bus, SimHandovers, SimMessages, SimPeers, SimVigil
from onefill.sim.protections import Protection, Without
from onefill.sim.venue import Venue
from onefill.sim.wire import Wire


class Control(LeaseWitness, Protocol):
    """Who watches the lease and the wishes for it."""

    def requested(self, epoch: Epoch, running: int) -> None:
        """A request for control was opened, while so many others for that epoch ran."""
        ...

    def draining(self, holder: Holder) -> None:
        """It begins nothing more, to give control away."""
        ...


class Watch(Protocol):
    """Who watches an instance from the outside."""

    @property
    def control(self) -> Control:
        """Who watches its lease."""
        ...

    def sending(self, prepared: Prepared) -> None:
        """Bytes of an order are about to leave."""
        ...

    def hearing(self, boot: UUID, outcome: Outcome) -> None:
        """A process has heard this of an order that it sent."""
        ...

    def acknowledging(self, identity: bytes) -> None:
        """The sender of this signal is about to be told that it is durable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process finds. is_shared: active-active, where all execute."""

    me: Holder
    heir: Heir
    is_shared: bool
    clock: Clock
    timeline: Timeline
    database: Database
    database_wire: Wire
    venue: Venue
    venue_wire: Wire
    bus: Bus
    watch: Watch
    without: Without

    def held(self) -> Held:
        """A new connection to the database."""
        return Held(self.database, self.database_wire, self.me)

    def has(self, protection: Protection) -> bool:
        """Whether this protection is there."""
        return protection not in self.without


@dataclass(slots=True, kw_only=True)
class Shared:
    """What many parts of one process share. heir_now: how it may come to lead, as it stands."""

    around: Surroundings
    state: NodeState
    metrics: Metrics
    sync: SyncHealth
    lanes: Inbox[Lane]
    ended: Topic[tuple[int, SignalStatus, str | None]]
    heir_now: Callable[[], Heir] = field(init=False)
    vigil: SimVigil = field(init=False)
    peers: SimPeers = field(init=False)
    leases: SimLeaseStore = field(init=False)
    requests: SimHandovers = field(init=False)
    messages: SimMessages = field(init=False)

    def __post_init__(self) -> None:
        """Make what stands on connections."""
        around = self.around
        self.heir_now = lambda: around.heir
        self.vigil = SimVigil(around.held(), around.held, around.clock)
        self.peers = SimPeers(around.held(), self._heir, around.me)
        self.leases = SimLeaseStore(
            around.held(),
            around.held(),
            around.watch.control,
            has_bar=around.has(Protection.BAR),
            has_trust=around.has(Protection.TRUST),
        )
        self.requests = SimHandovers(
            around.held(),
            around.watch.control.requested,
            is_unique=around.has(Protection.REQUEST),
        )
        self.messages = SimMessages(around.bus)

    def _heir(self) -> Heir:
        return self.heir_now()
