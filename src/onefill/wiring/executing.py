"""What an instance that executes has besides: the trade path, and the right to lead."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from onefill.brokers.registry import BrokerKey, build_brokers
from onefill.config.settings import Mode, Settings
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.handover import HandoverTiming
from onefill.core.ids import Epoch, Lane
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent
from onefill.core.lease import LeaseTiming
from onefill.core.settlement import settle
from onefill.core.signal import SignalStatus
from onefill.core.slicing import MostOf, deciding_in_slices, going_on_in_slices
from onefill.core.succession import Heir
from onefill.flow.afterlook import Afterlook
from onefill.flow.chaser import Chaser
from onefill.flow.decider import Decider
from onefill.flow.escalation import Escalation
from onefill.flow.executor import Executor
from onefill.flow.listener import Listener
from onefill.flow.market import Market, QuoteTiming
from onefill.flow.reconciler import Reconciler
from onefill.flow.resolver import Resolver
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.lead.damping import Damping
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving, Stepping
from onefill.lead.takeover import Surface, Takeover
from onefill.node.hub import Hub
from onefill.node.instance import Executing
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext
from onefill.node.reconciling import Reconciling
from onefill.node.safety import Safety
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
from onefill.ports.witness import Witness
from onefill.wiring.accounts import accounts_of, broker_of_signal
from onefill.wiring.jobs import build_runner
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
    safety: Safety


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
    brokers = _brokers(given)
    hub = Hub(lanes=given.lanes, ended=given.ended, metrics=given.metrics, clock=given.clock)
    settler = Settler(store=trading, settle=settle, hand_on=hub.settled, clock=given.clock)
    common: dict[str, Any] = {
        "store": trading,
        "broker_of": partial(_broker_of, brokers),
        "tell": settler.tell,
        "clock": given.clock,
    }
    chaser = _chaser(given, common["broker_of"])
    executor = Executor(**common, priced=chaser.priced, rates=given.stores.rates)
    is_shared = settings.mode is Mode.ACTIVE_ACTIVE
    state = given.state
    tracker = Tracker(
        **common,
        sees_all=lambda: not is_shared or state.epoch is not None,
        first_poll_ms=settings.orders.poll_first_ms,
        slowest_poll_ms=settings.orders.poll_slowest_ms,
    )
    resolver = Resolver(**common, quarantine_after_s=settings.orders.quarantine_after_s)
    hub.connect(executor, tracker, chaser)
    decider = _decider(given, hub, executor, chaser, brokers)
    loops = Loops(hub=hub, decider=decider, executor=executor, tracker=tracker, settler=settler)
    reconciler = _reconciler(given, settler, list(brokers.values()))
    reconciling = _reconciling(given, reconciler, decider)
    work = _work(
        given, loops, reconciler, reconciling, [broker.name for broker in brokers.values()]
    )
    kind = SharedTerm if is_shared else SoleTerm
    jobs = build_runner(given.stores, settings, given.rules, given.clock, decider.sweep_now)
    term = kind(state, work, resolver, (chaser, *_watchers(given, common)), jobs)
    leadership = _leadership(given, term)
    elector = _elector(given, leadership)
    giving = _giving(given, elector, leadership)
    leadership.connect(
        fenced=elector.fenced,
        check=_check(given),
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
        beside=(_listener(given, brokers, loops, reconciling).run, *_beside(given, elector)),
    )


def _listener(
    given: Given, brokers: dict[BrokerKey, Broker], loops: Loops, reconciling: Reconciling
) -> Listener:
    return Listener(
        store=given.stores.trading,
        brokers=list(brokers.values()),
        tell=loops.settler.tell,
        hurry=loops.tracker.hurry,
        stirred=reconciling.soon,
        clock=given.clock,
    )


def _chaser(given: Given, broker_of: Callable[[OrderIntent], Broker | None]) -> Chaser:
    return Chaser(
        store=given.stores.trading,
        broker_of=broker_of,
        rules=given.rules,
        lanes=given.lanes,
        clock=given.clock,
    )


def _brokers(given: Given) -> dict[BrokerKey, Broker]:
    stores = given.stores
    accounts = accounts_of(given.settings)
    return build_brokers(
        accounts, given.clock, known=stores.trading.known_orders, rates=stores.rates
    )


def _leadership(given: Given, term: Term) -> Leadership:
    leadership = Leadership(
        term=term,
        state=given.state,
        metrics=given.metrics,
        sync=given.sync,
        log_context=given.context,
        clock=given.clock,
    )
    given.safety.connect(leadership.resumed)
    return leadership


def _most_of(rules: Rules, brokers: Mapping[BrokerKey, Broker]) -> MostOf:
    """The largest order: as the broker says, and as the instrument is configured (ORD-15)."""

    def most_of(intent: OrderIntent) -> Decimal | None:
        broker, known = _broker_of(brokers, intent), rules.instruments.get(intent.instrument)
        said = broker.largest(intent.order) if broker is not None else None
        freeze = known.freeze_quantity if known is not None else None
        return min((Decimal(most) for most in (said, freeze) if most is not None), default=None)

    return most_of


def _decider(
    given: Given,
    hub: Hub,
    executor: Executor,
    chaser: Chaser,
    brokers: Mapping[BrokerKey, Broker],
) -> Decider:
    rules, most_of = given.rules, _most_of(given.rules, brokers)
    by_rules = _knowing_the_market(given, brokers)(partial(decide, rules=rules))
    covered = only_where_covered(by_rules, given.state, broker_of_signal(rules))
    return Decider(
        store=given.stores.trading,
        lanes=given.lanes,
        decide=hub.timing(deciding_in_slices(covered, most_of)),
        exits=chaser.informed(going_on_in_slices(partial(go_on, rules=rules), most_of)),
        offer=executor.offer,
        ended=given.ended,
        clock=given.clock,
    )


def _knowing_the_market(
    given: Given, brokers: Mapping[BrokerKey, Broker]
) -> Callable[[Decide], Decide]:
    quotes = given.settings.quotes
    market = Market(
        broker_of=lambda name, account: brokers.get((name, account)),
        rules=given.rules,
        wake=lambda lane: given.lanes.add([lane]),
        timing=QuoteTiming(within_s=quotes.within_ms / 1000, max_age_s=quotes.max_age_ms / 1000),
        metrics=given.metrics,
        clock=given.clock,
    )
    return market.knowing if quotes.ask else lambda decide: decide


def _reconciling(given: Given, reconciler: Reconciler, decider: Decider) -> Reconciling:
    return Reconciling(
        reconciler=reconciler,
        state=given.state,
        every_s=given.settings.orders.reconcile_every_s,
        covered=decider.sweep_now,
        safety=given.safety,
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


def _check(given: Given) -> Callable[[Epoch], None]:
    """After each renewal: the witness of epochs."""
    check = SplitBrainCheck(
        witness=given.witness,
        me=given.me.instance,
        metrics=given.metrics,
        ahead=given.safety.witness_ahead,
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
        ttl_ms=lease.ttl_ms,
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
        ttl_ms=given.settings.lease.ttl_ms,
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


def _broker_of(brokers: Mapping[BrokerKey, Broker], intent: OrderIntent) -> Broker | None:
    return brokers.get((intent.order.broker, intent.order.account))
