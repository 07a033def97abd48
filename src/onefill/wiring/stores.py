"""All stores that an instance stands on, by what it needs of them; not by which server has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from onefill.core.ids import Epoch
from onefill.core.intent import OrderIntent
from onefill.node.coordination import History
from onefill.ports.authority import Losses
from onefill.ports.doubts import DoubtStore
from onefill.ports.handover import HandoverStore
from onefill.ports.jobs import Job, JobLog
from onefill.ports.lease import Holder, LeaseStore
from onefill.ports.listings import ListingStore
from onefill.ports.messages import Messages
from onefill.ports.peers import Peers
from onefill.ports.rates import RateStore
from onefill.ports.recovery import RecoveryStore
from onefill.ports.signal_log import SignalLog
from onefill.ports.trading import TradingStore
from onefill.ports.views import Actor, Controls, Views
from onefill.ports.vigil import Vigil


class Books(TradingStore, DoubtStore, Protocol):
    """The trade path, and what is looked at slowly."""

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet."""
        ...


class LeaderHistory(History, Protocol):
    """Who led when, and how often a takeover hit one that lived."""

    def survived(self, resource: str, epoch: Epoch, holder: Holder, reason: str) -> None:
        """That holder lives, and has found that this epoch of its is over; reason: how."""
        ...

    def write_up(self, resource: str) -> None:
        """Add, behind the caller's back, what others did not live to write."""
        ...

    async def wrong_takeovers(self, resource: str, within_s: float) -> int:
        """How many takeovers within this time hit a holder that was alive."""
        ...


class NotingControls(Controls, Protocol):
    """What operators do, takeovers included."""

    async def note(self, by: Actor, action: str, instance: str) -> None:
        """Keep who took or gave control where."""
        ...


Loop = Callable[[], Coroutine[Any, Any, None]]
SweepNow = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Stores:
    """All stores of one instance, whichever server they stand on.

    session_key: of the session by which others see this process live, where there are such.
    carriers: of messages between instances. loops: what the stores need to run beside.
    jobs: of the leader; recorded in `runs`. prepare: what must succeed before all else.
    is_paused: whether a person paused trading; raises StoreUnavailable. listings: of the brokers'
    contracts; None where nothing that ends is traded.
    """

    signal_log: SignalLog
    trading: Books
    leases: LeaseStore
    recovery: RecoveryStore
    instances: Peers
    handovers: HandoverStore
    history: LeaderHistory
    vigil: Vigil
    session_key: Callable[[], int | None]
    views: Views
    controls: NotingControls
    runs: JobLog
    jobs: Callable[[SweepNow], Sequence[Job]]
    rates: RateStore
    losses: Losses
    prepare: Callable[[], Awaitable[None]]
    is_paused: Callable[[], Awaitable[bool]]
    listings: ListingStore | None = None
    carriers: Sequence[Messages] = ()
    loops: Sequence[Loop] = ()
    closing: list[Any] = field(default_factory=list)

    async def close(self) -> None:
        """Let every connection go."""
        for store in self.closing:
            await store.close()
