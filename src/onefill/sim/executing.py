"""The trade path and the right to walk it, put together as wiring/executing.py does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from onefill.core.control.lease import LeaseTiming
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.intent import OrderIntent
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.settlement import Told, settle
from onefill.core.orders.slicing import deciding_in_slices, going_on_in_slices
from onefill.core.signal import LoggedSignal
from onefill.flow.afterlook import Afterlook
from onefill.flow.decider import Decider
from onefill.flow.executor import Executor
from onefill.flow.reconciler import Reconciler
from onefill.flow.resolver import Resolver
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.jobs.runner import Runner
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving, Stepping
from onefill.lead.takeover import Surface, Takeover
from onefill.node.hub import Hub
from onefill.node.instance import Executing
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext
from onefill.node.reconciling import Reconciling
from onefill.node.term import SharedTerm, SoleTerm
from onefill.node.work import Work, only_where_covered
from onefill.ports.peers import Peer
from onefill.ports.views import Actor
from onefill.sim.broker import QUANTITY_MAX, SimBroker
from onefill.sim.neighbours import NoJobs
from onefill.sim.protections import Protection
from onefill.sim.rules import (
    HANDOVER,
    LOOK_AGAIN_EVERY_S,
    QUARANTINE_AFTER_S,
    RECONCILE_EVERY_S,
    RULES,
    read,
)
from onefill.sim.store import Connections, SimRecoveryStore, SimTradingStore
from onefill.sim.surroundings import Shared

TIMING = LeaseTiming()
STALE_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class _Path:
    """The trade path's loops. common: what most of them are made with."""

    common: dict[str, Any]
    store: SimTradingStore
    broker: SimBroker
    hub: Hub
    settler: Settler
    executor: Executor
    tracker: Tracker


async def _nobody_trades_by_hand(_: Adjustment, __: Actor) -> AdjustmentRefusal:
    return AdjustmentRefusal.NOT_OURS


def build_executing(shared: Shared) -> Executing:
    """All of it; nothing runs yet."""
    around, state = shared.around, shared.state
    path = _path(shared)
    decider = _decider(shared, path)
    recovery = SimRecoveryStore(around.held())
    reconciler = Reconciler(
        trading=path.store,
        recovery=recovery,
        brokers=[path.broker],
        deployment=RULES.deployment,
        tell=path.common["tell"],
        books_evidence=True,
        adjust=_nobody_trades_by_hand,
    )
    reconciling = Reconciling(
        reconciler=reconciler, state=state, every_s=RECONCILE_EVERY_S, covered=decider.sweep_now
    )
    work = Work(
        state=state,
        decider=decider,
        executor=path.executor,
        tracker=path.tracker,
        settler=path.settler,
        reconciler=reconciler,
        reconciling=reconciling,
        recovery=recovery,
        brokers=[path.broker.name],
        clock=around.clock,
    )
    leadership = _leadership(shared, path, work)
    elector = Elector(
        store=shared.leases,
        me=around.me,
        heir=around.heir,
        timing=TIMING,
        clock=around.clock,
        vigil=shared.vigil,
        others=_others(shared),
        watcher=leadership,
    )
    shared.heir_now = lambda: elector.heir
    leadership.connect(fenced=elector.fenced, check=lambda epoch: None)
    return Executing(
        elector=elector,
        leadership=leadership,
        takeover=_takeover(shared, elector, work),
        giving=_giving(shared, elector, leadership),
        settler=path.settler,
        brokers=[path.broker],
        work=work,
        always=around.is_shared,
        reconciling=reconciling,
    )


def _path(shared: Shared) -> _Path:
    around = shared.around
    store = SimTradingStore(
        Connections(around.held(), around.held(), around.held(), around.held()),
        around.me,
        read,
        around.without,
    )
    broker = SimBroker(
        venue=around.venue,
        wire=around.venue_wire,
        boot=around.me.boot,
        clock=around.clock,
        known=store.known_orders,
        observer=around.watch,
        without=around.without,
    )
    hub = Hub(lanes=shared.lanes, ended=shared.ended, metrics=shared.metrics, clock=around.clock)
    settler = Settler(store=store, settle=settle, hand_on=hub.settled, clock=around.clock)
    common: dict[str, Any] = {
        "store": store,
        "broker_of": lambda intent: broker,
        "tell": _teller(shared, settler),
        "clock": around.clock,
    }
    executor = Executor(**common)
    sees_all = partial(_sees_all, shared) if around.is_shared else lambda: True
    tracker = Tracker(**common, sees_all=sees_all)
    hub.connect(executor, tracker)
    return _Path(common, store, broker, hub, settler, executor, tracker)


def _sees_all(shared: Shared) -> bool:
    return shared.state.epoch is not None


def _teller(shared: Shared, settler: Settler) -> Callable[[Told], None]:
    """Where a broker's words go. The planted bug: only a leader's are kept."""

    def tell(word: Told) -> None:
        if shared.around.has(Protection.EVIDENCE) or shared.state.epoch is not None:
            settler.tell(word)

    return tell


def _decider(shared: Shared, path: _Path) -> Decider:
    covered = only_where_covered(partial(decide, rules=RULES), shared.state, _broker_of_signal)
    return Decider(
        store=path.store,
        lanes=shared.lanes,
        decide=path.hub.timing(deciding_in_slices(covered, _most_of)),
        exits=going_on_in_slices(partial(go_on, rules=RULES), _most_of),
        offer=path.executor.offer,
        ended=shared.ended,
        clock=shared.around.clock,
    )


def _most_of(_: OrderIntent) -> Decimal:
    return QUANTITY_MAX


def _broker_of_signal(logged: LoggedSignal) -> str:
    return SimBroker.name


def _leadership(shared: Shared, path: _Path, work: Work) -> Leadership:
    around = shared.around
    resolver = Resolver(**path.common, quarantine_after_s=QUARANTINE_AFTER_S)
    watchers = (Afterlook(**path.common, every_s=LOOK_AGAIN_EVERY_S),)
    jobs = Runner(jobs=(), runs=NoJobs(around.timeline), clock=around.clock)
    kind = SharedTerm if around.is_shared else SoleTerm
    return Leadership(
        term=kind(shared.state, work, resolver, watchers, jobs),
        state=shared.state,
        metrics=shared.metrics,
        sync=shared.sync,
        log_context=LogContext(around.me.instance),
        clock=around.clock,
    )


def _others(shared: Shared) -> Callable[[], Awaitable[Sequence[Peer]]]:
    return partial(shared.peers.others, shared.around.me, STALE_AFTER_S)


def _takeover(shared: Shared, elector: Elector, work: Work) -> Takeover:
    state = shared.state

    async def prove() -> str | None:
        return None if await work.proves_whole() else "the stored book breaks its promises"

    return Takeover(
        me=shared.around.me,
        elector=elector,
        leases=shared.leases,
        requests=shared.requests,
        messages=shared.messages,
        surface=Surface(is_active=lambda: state.is_active, move=state.move, prove=prove),
        timing=HANDOVER,
        ttl_ms=TIMING.ttl_ms,
        metrics=shared.metrics,
        clock=shared.around.clock,
    )


def _giving(shared: Shared, elector: Elector, leadership: Leadership) -> Giving:
    return Giving(
        me=shared.around.me,
        elector=elector,
        requests=shared.requests,
        messages=shared.messages,
        others=_others(shared),
        stepping=Stepping(
            down=_stepping_down(shared, leadership), stepped_down=leadership.stepped_down
        ),
        timing=HANDOVER,
        clock=shared.around.clock,
    )


def _stepping_down(shared: Shared, leadership: Leadership) -> Callable[[], Awaitable[None]]:
    """How it drains. The planted bug: it hands over while it still finishes what it sent."""
    beside: set[asyncio.Task[None]] = set()

    async def drain() -> None:
        shared.around.watch.control.draining(shared.around.me)
        if shared.around.has(Protection.DRAIN):
            await leadership.step_down()
        else:
            beside.add(asyncio.create_task(leadership.step_down()))

    return drain
