"""One simulated process: the real parts, put together as wiring does it, on simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from onefill.core import parse
from onefill.core.closing import continue_exits
from onefill.core.decide import decide
from onefill.core.ids import Lane
from onefill.core.lease import LeaseTiming
from onefill.core.settlement import Told, settle
from onefill.core.report import Outcome
from onefill.core.signal import LoggedSignal, SignalStatus, fingerprint
from onefill.flow.afterlook import Afterlook
from onefill.flow.awaiting import Awaiting
from onefill.flow.decider import Decider
from onefill.flow.executor import Executor
from onefill.flow.intake import Intake, IntakeUnavailable
from onefill.flow.reconciler import Reconciler
from onefill.flow.resolver import Resolver
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.lead.elector import Elector
from onefill.node.hub import Hub
from onefill.node.instance import Executing, Instance, Parts
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext
from onefill.node.pulse import Pulse
from onefill.node.reconciling import Reconciling
from onefill.node.state import NodeState
from onefill.node.term import Term, only_where_covered
from onefill.ports.broker import Prepared
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import Holder
from onefill.ports.metrics import Metrics
from onefill.ports.trading import TradingStore
from onefill.sim.broker import SimBroker
from onefill.sim.connection import Held
from onefill.sim.database import Database
from onefill.sim.leases import Granted, SimLeaseStore
from onefill.sim.protections import Protection, Without
from onefill.sim.rules import (
    LOOK_AGAIN_EVERY_S,
    QUARANTINE_AFTER_S,
    RECONCILE_EVERY_S,
    RULES,
    ZONES,
    read,
)
from onefill.sim.signal_log import SimSignalLog
from onefill.sim.store import Connections, SimRecoveryStore, SimTradingStore
from onefill.sim.venue import Venue
from onefill.sim.wire import Wire

TIMING = LeaseTiming()


class Watch(Protocol):
    """Who watches an instance from the outside."""

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
    """What a process finds when it starts."""

    me: Holder
    clock: Clock
    database: Database
    database_wire: Wire
    venue: Venue
    venue_wire: Wire
    watch: Watch
    granted: Granted
    without: Without

    def held(self) -> Held:
        """A new connection to the database."""
        return Held(self.database, self.database_wire, self.me)

    def has(self, protection: Protection) -> bool:
        """Whether this protection is there."""
        return protection not in self.without


class _NoServer:
    """Implements node.instance.Server: requests come in through `SimInstance.take_in`."""

    async def start(self) -> int:
        """There is no port."""
        return 0

    async def stop(self) -> None:
        """There is nothing to stop."""


async def _nothing() -> None:
    return


class SimInstance:
    """A process's parts. Made, and run, inside its own loop."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lanes: Inbox[Lane] = Inbox()
        self._ended: Topic[tuple[int, SignalStatus, str | None]] = Topic()
        self._metrics = Metrics()
        self.state = NodeState(around.me.instance, str(around.me.boot))
        self.stop = asyncio.Event()
        self._log = SimSignalLog(
            around.held(), around.held(), is_unique=around.has(Protection.DEDUP)
        )
        self._intake = Intake(
            signal_log=self._log, lanes=self._lanes, metrics=self._metrics, clock=around.clock
        )
        self._store = SimTradingStore(
            Connections(around.held(), around.held(), around.held(), around.held()),
            around.me,
            read,
            around.without,
        )

    async def run(self) -> None:
        """Serve until `stop` is set."""
        around = self._around
        parts = Parts(
            state=self.state,
            server=_NoServer(),
            intake=self._intake,
            awaiting=Awaiting(signal_log=self._log, ended=self._ended, clock=around.clock),
            pulse=self._pulse(),
            executing=self._executing(),
            takes_in=True,
            prepare=_nothing,
            listening=lambda port: None,
            warm=_nothing,
            close=_nothing,
            clock=around.clock,
        )
        await Instance(parts).run(self.stop)

    async def take_in(self, body: bytes) -> bool:
        """A webhook; whether it was acknowledged."""
        around = self._around
        valid = parse.parse(body, now=around.clock.wall(), zones=ZONES)
        if not isinstance(valid, parse.Valid) or not self.state.taking_in:
            return False
        identity = fingerprint(valid.signal)
        if not around.has(Protection.DURABLE):
            around.watch.acknowledging(identity)
        try:
            await self._intake.take_in(valid.signal, valid.payload)
        except IntakeUnavailable:
            return False
        around.watch.acknowledging(identity)
        return True

    def _pulse(self) -> Pulse:
        return Pulse(
            state=self.state,
            metrics=self._metrics,
            clock=self._around.clock,
            look=_nothing,
            beat=_nothing,
            measure=_nothing,
        )

    def _executing(self) -> Executing:
        around, store = self._around, self._store
        broker = SimBroker(
            around.venue,
            around.venue_wire,
            around.me.boot,
            around.clock,
            store.known_orders,
            around.watch,
            around.without,
        )
        hub = Hub(
            lanes=self._lanes, ended=self._ended, metrics=self._metrics, clock=around.clock
        )
        settler = Settler(store=store, settle=settle, hand_on=hub.settled, clock=around.clock)
        common: dict[str, Any] = {
            "store": store,
            "broker_of": lambda intent: broker,
            "tell": self._teller(settler),
            "clock": around.clock,
        }
        executor, tracker = Executor(**common), Tracker(**common)
        hub.connect(executor, tracker)
        term = self._term(hub, executor, tracker, common, broker)
        leadership = Leadership(
            term=term,
            executor=executor,
            state=self.state,
            metrics=self._metrics,
            log_context=LogContext(around.me.instance),
        )
        elector = self._elector(leadership)
        term.on_fenced(elector.fenced)
        return Executing(
            elector=elector, leadership=leadership, settler=settler, brokers=[broker]
        )

    def _teller(self, settler: Settler) -> Callable[[Told], None]:
        """Where a broker's words go. The planted bug: only a leader's are kept."""

        def tell(word: Told) -> None:
            if self._around.has(Protection.EVIDENCE) or self.state.epoch is not None:
                settler.tell(word)

        return tell

    def _term(
        self,
        hub: Hub,
        executor: Executor,
        tracker: Tracker,
        common: dict[str, Any],
        broker: SimBroker,
    ) -> Term:
        around = self._around
        store: TradingStore = common["store"]
        decider = Decider(
            store=store,
            lanes=self._lanes,
            decide=hub.timing(
                only_where_covered(partial(decide, rules=RULES), self.state, _broker_of_signal)
            ),
            exits=partial(continue_exits, rules=RULES),
            offer=executor.offer,
            ended=self._ended,
            clock=around.clock,
        )
        recovery = SimRecoveryStore(around.held())
        reconciler = Reconciler(
            trading=store,
            recovery=recovery,
            brokers=[broker],
            deployment=RULES.deployment,
            tell=common["tell"],
            books_evidence=True,
        )
        return Term(
            state=self.state,
            decider=decider,
            executor=executor,
            tracker=tracker,
            resolver=Resolver(**common, quarantine_after_s=QUARANTINE_AFTER_S),
            watchers=(Afterlook(**common, every_s=LOOK_AGAIN_EVERY_S),),
            reconciling=Reconciling(
                reconciler=reconciler,
                state=self.state,
                every_s=RECONCILE_EVERY_S,
                covered=decider.sweep_now,
            ),
            recovery=recovery,
            brokers=[broker.name],
            clock=around.clock,
        )

    def _elector(self, leadership: Leadership) -> Elector:
        around = self._around
        leases = SimLeaseStore(
            around.held(), around.held(), around.granted, has_bar=around.has(Protection.BAR)
        )
        return Elector(
            store=leases,
            me=around.me,
            timing=TIMING,
            clock=around.clock,
            on_start=leadership.start,
            on_stop=leadership.stop,
        )


def _broker_of_signal(logged: LoggedSignal) -> str:
    return "sim"

