"""The trade path: signals, decisions, orders, and what brokers say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from onefill.brokers.registry import BrokerKey, build_brokers
from onefill.config.settings import Mode, Topology
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent
from onefill.core.orders.settlement import settle
from onefill.core.orders.slicing import MostOf, deciding_in_slices, going_on_in_slices
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
from onefill.flow.stop_watch import StopWatch
from onefill.flow.tracker import Tracker
from onefill.node.hub import Hub
from onefill.node.reconciling import Reconciling
from onefill.node.term import Watcher
from onefill.node.work import Work, only_where_covered
from onefill.ports.broker import Broker
from onefill.ports.trading import Decide
from onefill.wiring.accounts import accounts_of, broker_of_signal
from onefill.wiring.given import Given
from onefill.wiring.shared_redis import without_portfolios


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """The loops of the trade path. watchers: what runs besides while leading."""

    brokers: dict[BrokerKey, Broker]
    decider: Decider
    settler: Settler
    resolver: Resolver
    reconciling: Reconciling
    work: Work
    watchers: tuple[Watcher, ...]
    listener: Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loops:
    """Those that know of each other through the hub."""

    decider: Decider
    executor: Executor
    tracker: Tracker
    settler: Settler


def build_trading(given: Given) -> Trading:
    """All of it, connected."""
    settings, brokers = given.settings, _brokers(given)
    hub = Hub(lanes=given.lanes, ended=given.ended, metrics=given.metrics, clock=given.clock)
    settler = Settler(
        store=given.stores.trading, settle=settle, hand_on=hub.settled, clock=given.clock
    )
    common: dict[str, Any] = {
        "store": given.stores.trading,
        "broker_of": partial(_broker_of, brokers),
        "tell": settler.tell,
        "clock": given.clock,
    }
    chaser = _chaser(given, common["broker_of"])
    executor = _executor(given, chaser, common)
    tracker = _tracker(given, common)
    stops = _stop_watch(given, brokers, lambda: reconciling.soon())  # noqa: PLW0108
    hub.connect(executor, tracker, chaser, stops)
    decider = _decider(given, hub, executor, chaser=chaser, stops=stops, brokers=brokers)
    loops = _Loops(decider=decider, executor=executor, tracker=tracker, settler=settler)
    reconciler = _reconciler(given, settler, list(brokers.values()))
    reconciling = Reconciling(
        reconciler=reconciler,
        state=given.state,
        every_s=settings.orders.reconcile_every_s,
        covered=decider.sweep_now,
        safety=given.safety,
    )
    names = [broker.name for broker in brokers.values()]
    return Trading(
        brokers=brokers,
        decider=decider,
        settler=settler,
        resolver=Resolver(**common, quarantine_after_s=settings.orders.quarantine_after_s),
        reconciling=reconciling,
        work=_work(given, loops, reconciler, reconciling, names),
        watchers=(chaser, stops, *_watchers(given, common)),
        listener=_listener(given, brokers, loops, reconciling),
    )


def _brokers(given: Given) -> dict[BrokerKey, Broker]:
    stores = given.stores
    accounts = accounts_of(given.settings)
    return build_brokers(
        accounts, given.clock, known=stores.trading.known_orders, rates=stores.rates
    )


def _broker_of(brokers: Mapping[BrokerKey, Broker], intent: OrderIntent) -> Broker | None:
    return brokers.get((intent.order.broker, intent.order.account))


def _chaser(given: Given, broker_of: Callable[[OrderIntent], Broker | None]) -> Chaser:
    return Chaser(
        store=given.stores.trading,
        broker_of=broker_of,
        rules=given.rules,
        lanes=given.lanes,
        clock=given.clock,
    )


def _stop_watch(
    given: Given, brokers: Mapping[BrokerKey, Broker], soon: Callable[[], None]
) -> StopWatch:
    return StopWatch(
        store=given.stores.trading,
        recovery=given.stores.recovery,
        brokers=list(brokers.values()),
        lanes=given.lanes,
        soon=soon,
        clock=given.clock,
        every_s=given.settings.orders.watch_stops_every_s,
    )


def _tracker(given: Given, common: dict[str, Any]) -> Tracker:
    orders, state = given.settings.orders, given.state
    is_shared = given.settings.mode is Mode.ACTIVE_ACTIVE
    return Tracker(
        **common,
        sees_all=lambda: not is_shared or state.epoch is not None,
        first_poll_ms=orders.poll_first_ms,
        slowest_poll_ms=orders.poll_slowest_ms,
    )


def _listener(
    given: Given, brokers: dict[BrokerKey, Broker], loops: _Loops, reconciling: Reconciling
) -> Listener:
    return Listener(
        store=given.stores.trading,
        brokers=list(brokers.values()),
        tell=loops.settler.tell,
        hurry=loops.tracker.hurry,
        stirred=reconciling.soon,
        clock=given.clock,
    )


def _decider(
    given: Given,
    hub: Hub,
    executor: Executor,
    *,
    chaser: Chaser,
    stops: StopWatch,
    brokers: Mapping[BrokerKey, Broker],
) -> Decider:
    rules, most_of = given.rules, _most_of(given.rules, brokers)
    by_rules: Decide = partial(decide, rules=rules)
    if given.settings.topology is Topology.SHARED_REDIS:
        by_rules = without_portfolios(by_rules)
    by_rules = _knowing_the_market(given, brokers)(by_rules)
    covered = only_where_covered(by_rules, given.state, broker_of_signal(rules))
    return Decider(
        store=given.stores.trading,
        lanes=given.lanes,
        decide=hub.timing(deciding_in_slices(covered, most_of, partial(_is_hedged, brokers))),
        exits=stops.informed(
            chaser.informed(going_on_in_slices(partial(go_on, rules=rules), most_of))
        ),
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


def _executor(given: Given, chaser: Chaser, common: dict[str, Any]) -> Executor:
    state = given.state
    return Executor(
        **common,
        priced=chaser.priced,
        rates=given.stores.rates,
        lanes=given.lanes,
        may_send=lambda intent: intent.order.broker not in state.refused,
    )


def _is_hedged(brokers: Mapping[BrokerKey, Broker], intent: OrderIntent) -> bool:
    broker = _broker_of(brokers, intent)
    return broker is not None and broker.capabilities.hedged


def _most_of(rules: Rules, brokers: Mapping[BrokerKey, Broker]) -> MostOf:
    """The largest order: as the broker says, and as the instrument is configured (ORD-15)."""

    def most_of(intent: OrderIntent) -> Decimal | None:
        broker, known = _broker_of(brokers, intent), rules.instruments.get(intent.instrument)
        said = broker.largest(intent.order) if broker is not None else None
        freeze = known.freeze_quantity if known is not None else None
        return min((Decimal(most) for most in (said, freeze) if most is not None), default=None)

    return most_of


def _reconciler(given: Given, settler: Settler, brokers: list[Broker]) -> Reconciler:
    return Reconciler(
        trading=given.stores.trading,
        recovery=given.stores.recovery,
        brokers=brokers,
        deployment=given.settings.deployment,
        tell=settler.tell,
        books_evidence=given.settings.orders.book_evidence,
        adjust=given.stores.controls.adjust,
        adjusts=given.settings.orders.book_hand_trades,
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
    loops: _Loops,
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
