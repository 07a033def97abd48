"""What an instance that executes has besides: the trade path, and the right to lead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from onefill.brokers.registry import build_brokers
from onefill.config.settings import Mode, Settings, Topology
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.handover import HandoverTiming
from onefill.core.ids import Epoch, Lane
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent
from onefill.core.lease import LeaseTiming
from onefill.core.settlement import settle
from onefill.core.signal import SignalStatus
from onefill.core.succession import Heir
from onefill.flow.afterlook import Afterlook
from onefill.flow.chaser import Chaser
from onefill.flow.decider import Decider
from onefill.flow.escalation import Escalation
from onefill.flow.executor import Executor
from onefill.flow.reconciler import Reconciler
from onefill.flow.resolver import Resolver
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.jobs.runner import Runner
from onefill.lead.damping import Damping
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving, Stepping
from onefill.lead.takeover import Surface, Takeover
from onefill.node.hub import Hub
from onefill.node.instance import Executing
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext
from onefill.node.reconciling import Reconciling
from onefill.node.split_brain import SplitBrainCheck
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.node.term import SharedTerm, SoleTerm, Term, Watcher
from onefill.node.work import Work, only_where_covered
from onefill.ports.broker import Broker
from onefill.ports.clock import RealClock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import LEADER, Holder
from onefill.ports.messages import Messages
from onefill.ports.metrics import Metrics
from onefill.ports.trading import Decide
from onefill.ports.witness import Witness, Witnessed
from onefill.wiring.accounts import accounts_of, broker_of_signal
from onefill.wiring.shared_redis import without_portfolios
from onefill.wiring.stores import Stores

STALE_AFTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the executing parts share with the rest of the instance."""

    settings: Settings
    me: Holder
    rules: Rules
    stores: Stores
    state: NodeState
    metrics: Metrics
    sync: SyncHealth
    context: LogContext
    clock: RealClock
    lanes: Inbox[Lane]
    ended: Topic[tuple[int, SignalStatus, str | None]]
    messages: Messages
    witness: Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """The trade path's loops that know of each other through the hub."""

    hub: Hub
    decider: Decider
    executor: Executor
    tracker: Tracker
    settler: Settler


def heir_of(settings: Settings, instance: str) -> Heir:
    """How this instance may come to lead."""
    return Heir(
        instance=instance,
        preferred=settings.active_by_default,
        automatic=settings.may_succeed == "auto",
    )


def build_executing(given: Given) -> Executing:
    """The trade path, and the right to walk it."""
    settings, trading = given.settings, given.stores.trading
    rates = given.stores.rates
    brokers = build_brokers(
        accounts_of(settings), given.clock, known=trading.known_orders, rates=rates
    )
    hub = Hub(lanes=given.lanes, ended=given.ended, metrics=given.metrics, clock=given.clock)
    settler = Settler(store=trading, settle=settle, hand_on=hub.settled, clock=given.clock)
    common: dict[str, Any] = {
        "store": trading,
        "broker_of": partial(_broker_of, brokers),
        "tell": settler.tell,
        "clock": given.clock,
    }
    chaser = _chaser(given, common["broker_of"])
    executor = Executor(**common, priced=chaser.priced, rates=rates)
    is_shared = settings.mode is Mode.ACTIVE_ACTIVE
    state = given.state
    tracker = Tracker(**common, sees_all=lambda: not is_shared or state.epoch is not None)
    resolver = Resolver(**common, quarantine_after_s=settings.orders.quarantine_after_s)
    hub.connect(executor, tracker, chaser)
    decider = _decider(given, hub, executor, chaser)
    loops = Loops(hub=hub, decider=decider, executor=executor, tracker=tracker, settler=settler)
    reconciler = _reconciler(given, settler, list(brokers.values()))
    reconciling = Reconciling(
        reconciler=reconciler,
        state=state,
        every_s=settings.orders.reconcile_every_s,
        covered=decider.sweep_now,
    )
    work = _work(
        given, loops, reconciler, reconciling, [broker.name for broker in brokers.values()]
    )
    kind = SharedTerm if is_shared else SoleTerm
    jobs = _runner(given, decider)
    term = kind(state, work, resolver, (chaser, *_watchers(given, common)), jobs)
    leadership = _leadership(given, term)
    elector = _elector(given, leadership)
    giving = _giving(given, elector, leadership)
    leadership.connect(
        fenced=elector.fenced,
        check=_check(given, giving),
        survived=lambda epoch: given.stores.history.survived(LEADER, epoch, given.me),
    )
    return Executing(
        elector=elector,
        leadership=leadership,
        takeover=_takeover(given, elector, work),
        giving=giving,
        settler=settler,
        brokers=list(brokers.values()),
        work=work,
        always=is_shared,
        reconciling=reconciling,
        beside=_beside(given, elector),
    )


def _runner(given: Given, decider: Decider) -> Runner:
    stores = given.stores
    return Runner(jobs=stores.jobs(decider.sweep_now), runs=stores.runs, clock=given.clock)


def _chaser(given: Given, broker_of: Callable[[OrderIntent], Broker | None]) -> Chaser:
    return Chaser(
        store=given.stores.trading,
        broker_of=broker_of,
        rules=given.rules,
        lanes=given.lanes,
        clock=given.clock,
    )


def _leadership(given: Given, term: Term) -> Leadership:
    return Leadership(
        term=term,
        state=given.state,
        metrics=given.metrics,
        sync=given.sync,
        log_context=given.context,
        clock=given.clock,
    )


def _decider(given: Given, hub: Hub, executor: Executor, chaser: Chaser) -> Decider:
    rules = given.rules
    by_rules: Decide = partial(decide, rules=rules)
    if given.settings.topology is Topology.SHARED_REDIS:
        by_rules = without_portfolios(by_rules)
    covered = only_where_covered(by_rules, given.state, broker_of_signal(rules))
    return Decider(
        store=given.stores.trading,
        lanes=given.lanes,
        decide=hub.timing(covered),
        exits=chaser.informed(partial(go_on, rules=rules)),
        offer=executor.offer,
        ended=given.ended,
        clock=given.clock,
    )


def _reconciler(given: Given, settler: Settler, brokers: list[Broker]) -> Reconciler:
    return Reconciler(
        trading=given.stores.trading,
        recovery=given.stores.recovery,
        brokers=brokers,
        deployment=given.settings.deployment,
        tell=settler.tell,
        books_evidence=given.settings.orders.book_evidence,
    )


def _watchers(given: Given, common: dict[str, Any]) -> tuple[Watcher, ...]:
    orders = given.settings.orders
    repeat_s = orders.repeat_alarm_every_s
    return (
        Afterlook(**common, every_s=orders.look_again_every_s),
        Escalation(store=given.stores.trading, clock=given.clock, every_s=repeat_s),
    )


def _work(
    given: Given,
    loops: Loops,
    reconciler: Reconciler,
    reconciling: Reconciling,
    brokers: list[str],
) -> Work:
    return Work(
        state=given.state,
        decider=loops.decider,
        executor=loops.executor,
        tracker=loops.tracker,
        settler=loops.settler,
        reconciler=reconciler,
        reconciling=reconciling,
        recovery=given.stores.recovery,
        brokers=brokers,
        clock=given.clock,
    )


def _check(given: Given, giving: Giving) -> Callable[[Epoch], None]:
    """After each renewal: the witness of epochs."""
    abdicating: set[asyncio.Task[None]] = set()

    def abdicate(seen: Witnessed) -> None:
        task = asyncio.create_task(giving.abdicate(), name="abdication")
        abdicating.add(task)
        task.add_done_callback(abdicating.discard)

    check = SplitBrainCheck(
        witness=given.witness, me=given.me.instance, metrics=given.metrics, ahead=abdicate
    )
    return check.renewed


def _beside(given: Given, elector: Elector) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    if not given.settings.lease.flap_damping:
        return ()
    damping = Damping(
        elector=elector,
        timing=_lease_timing(given.settings),
        wrong_takeovers=partial(given.stores.history.wrong_takeovers, LEADER),
        clock=given.clock,
    )
    return (damping.run,)


def _lease_timing(settings: Settings) -> LeaseTiming:
    lease = settings.lease
    return LeaseTiming(
        ttl_ms=settings.lease_ttl_ms,
        renew_every_ms=lease.renew_every_ms,
        call_timeout_ms=lease.call_timeout_ms,
        give_up_ms=lease.give_up_ms,
    )


def _elector(given: Given, leadership: Leadership) -> Elector:
    return Elector(
        store=given.stores.leases,
        me=given.me,
        heir=heir_of(given.settings, given.me.instance),
        timing=_lease_timing(given.settings),
        clock=given.clock,
        vigil=given.stores.vigil,
        others=partial(given.stores.instances.others, given.me, STALE_AFTER_S),
        watcher=leadership,
    )


def _timing(settings: Settings) -> HandoverTiming:
    takeover = settings.takeover
    return HandoverTiming(drain_ms=takeover.drain_ms, forced_after_ms=takeover.forced_after_ms)


def _takeover(given: Given, elector: Elector, work: Work) -> Takeover:
    state = given.state

    async def prove() -> str | None:
        if state.brokers_away:
            return f"this instance does not reach {', '.join(sorted(state.brokers_away))}"
        if not await work.is_whole():
            return "the stored book breaks its promises; run `onefill doctor`"
        return None

    return Takeover(
        me=given.me,
        elector=elector,
        leases=given.stores.leases,
        requests=given.stores.handovers,
        messages=given.messages,
        surface=Surface(is_active=lambda: state.is_active, move=state.move, prove=prove),
        timing=_timing(given.settings),
        ttl_ms=given.settings.lease_ttl_ms,
        metrics=given.metrics,
        clock=given.clock,
    )


def _giving(given: Given, elector: Elector, leadership: Leadership) -> Giving:
    return Giving(
        me=given.me,
        elector=elector,
        requests=given.stores.handovers,
        messages=given.messages,
        others=partial(given.stores.instances.others, given.me, STALE_AFTER_S),
        stepping=Stepping(down=leadership.step_down, stepped_down=leadership.stepped_down),
        timing=_timing(given.settings),
        clock=given.clock,
    )


def _broker_of(brokers: dict[tuple[str, str], Broker], intent: OrderIntent) -> Broker | None:
    return brokers.get((intent.order.broker, intent.order.account))
