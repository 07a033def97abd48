"""From settings to a running instance."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import structlog

from onefill import __version__
from onefill.brokers.registry import build_brokers
from onefill.config.rules import rules_of
from onefill.config.settings import Settings
from onefill.core.decide import decide
from onefill.core.errors import OnefillError
from onefill.core.going_on import go_on
from onefill.core.ids import Lane
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent
from onefill.core.lease import LeaseTiming
from onefill.core.portfolio.rollover import must_roll_at
from onefill.core.settlement import Told, settle
from onefill.core.signal import SignalStatus
from onefill.core.signal_time import Zones
from onefill.embedded.server import EmbeddedPostgres
from onefill.flow.afterlook import Afterlook
from onefill.flow.awaiting import Awaiting
from onefill.flow.decider import Decider
from onefill.flow.escalation import Escalation
from onefill.flow.executor import Executor
from onefill.flow.intake import Intake
from onefill.flow.reconciler import Reconciler
from onefill.flow.resolver import Resolver
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.lead.elector import Elector
from onefill.node.hub import Hub
from onefill.node.instance import Executing, Instance, Parts
from onefill.node.leadership import Leadership
from onefill.node.logs import LogContext, set_up_logs
from onefill.node.pulse import Pulse
from onefill.node.reconciling import Reconciling
from onefill.node.state import NodeState
from onefill.node.term import Term, Watcher, only_where_covered
from onefill.ports import failpoints
from onefill.ports.broker import Broker
from onefill.ports.clock import RealClock, new_boot
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import Holder
from onefill.ports.metrics import Metrics
from onefill.postgres.heartbeat import Presence
from onefill.postgres.migrate import migrate
from onefill.web.app import Application
from onefill.web.server import WebServer
from onefill.wiring.accounts import accounts_of, broker_of_signal, live_accounts
from onefill.wiring.jobs import build_runner
from onefill.wiring.redis import RedisParts, build_redis
from onefill.wiring.stores import Stores, build_stores
from onefill.wiring.web import build_application, secrets_of

log = structlog.get_logger()

Ended = tuple[int, SignalStatus, str | None]


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 1 after anything else."""
    import uvloop

    context = set_up_logs(
        instance=settings.instance_id or _hostname() or "onefill",
        secrets=secrets_of(settings),
        as_json=settings.log_format == "json",
    )
    failpoints.arm_from_environment()
    try:
        uvloop.run(_run(settings, context))
    except Exception as error:
        _tell(error)
        return 1
    return 0


def _tell(error: BaseException) -> None:
    """What ended the instance, each cause with its remedy."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _tell(inner)
    elif isinstance(error, OnefillError):
        log.critical("instance.failed", error=str(error), remedy=error.remedy)
    else:
        log.critical("instance.failed", exc_info=error)


async def _run(settings: Settings, context: LogContext) -> None:
    stop = _stop_on_signals()
    async with _database(settings) as url:
        instance = await build_instance(settings, context, url)
        await instance.run(stop)


@contextlib.asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """The address of the database: the configured one, or one that runs as long as we do."""
    url = settings.database.url.get_secret_value()
    if url:
        yield url
        return
    async with EmbeddedPostgres(settings.data / "postgres") as embedded:
        yield embedded.url


async def build_instance(settings: Settings, context: LogContext, url: str) -> Instance:
    """All parts, connected to each other; nothing runs yet."""
    return Instance(await _Builder(settings, context, url).parts())


class _Builder:
    """Holds what many parts share while they are made."""

    def __init__(self, settings: Settings, context: LogContext, url: str) -> None:
        self.settings = settings
        self.context = context
        self.url = url
        self.clock = RealClock()
        self.me = Holder(instance=context.instance, boot=new_boot())
        self.started_at = self.clock.wall()
        self.rules: Rules = rules_of(settings)
        self.zones = Zones.named({i.name: i.zone for i in self.rules.instruments.values()})
        self.metrics = Metrics()
        self.state = NodeState(self.me.instance, str(self.me.boot))
        self.lanes: Inbox[Lane] = Inbox()
        self.ended: Topic[Ended] = Topic()
        self.stores: Stores = build_stores(
            url,
            self.me,
            settings,
            clock=self.clock,
            zones=self.zones,
            hostname=_hostname(),
            live=live_accounts(settings),
            must_roll=partial(must_roll_at, rules=self.rules),
        )
        self.redis = build_redis(
            settings, self.me, self.state, metrics=self.metrics, clock=self.clock, lanes=self.lanes
        )
        self.port: int | None = None
        self.reconciling: Reconciling | None = None

    async def parts(self) -> Parts:
        """The instance's parts."""
        log_ = self.stores.signal_log
        intake = Intake(
            signal_log=log_,
            lanes=self.lanes,
            metrics=self.metrics,
            clock=self.clock,
            neighbours=self.redis.neighbours if self.redis else None,
        )
        awaiting = Awaiting(signal_log=log_, ended=self.ended, clock=self.clock)
        application = build_application(
            self.settings,
            self.state,
            self.stores,
            intake=intake,
            awaiting=awaiting,
            zones=self.zones,
            metrics=self.metrics,
            clock=self.clock,
            reconcile=self._reconcile_now,
        )
        executing = self._executing() if self.settings.role.executes else None
        return Parts(
            state=self.state,
            server=WebServer(application, host=self.settings.host, port=self.settings.port),
            intake=intake,
            awaiting=awaiting,
            pulse=self._pulse(),
            executing=executing,
            beside=self.redis.loops if self.redis else (),
            takes_in=self.settings.role.takes_in,
            prepare=self._prepare,
            listening=self._listening,
            warm=partial(_warm, application),
            close=partial(_close, self.stores, executing, self.redis),
            clock=self.clock,
        )

    async def _reconcile_now(self, apply: bool) -> bool:
        return self.reconciling is not None and await self.reconciling.ask(apply=apply)

    def _executing(self) -> Executing:
        """The trade path, and the right to walk it."""
        trading, settings = self.stores.trading, self.settings
        brokers = build_brokers(accounts_of(settings), self.clock, known=trading.known_orders)
        broker_of = partial(_broker_of, brokers)
        hub = Hub(lanes=self.lanes, ended=self.ended, metrics=self.metrics, clock=self.clock)
        settler = Settler(store=trading, settle=settle, hand_on=hub.settled, clock=self.clock)
        common: dict[str, Any] = {
            "store": trading,
            "broker_of": broker_of,
            "tell": settler.tell,
            "clock": self.clock,
        }
        executor = Executor(**common)
        tracker = Tracker(**common)
        resolver = Resolver(
            **common,
            quarantine_after_s=settings.orders.quarantine_after_s,
        )
        hub.connect(executor, tracker)
        orders = settings.orders
        afterlook = Afterlook(**common, every_s=orders.look_again_every_s)
        escalation = Escalation(
            store=trading, clock=self.clock, every_s=orders.repeat_alarm_every_s
        )
        term = self._term(
            hub=hub,
            executor=executor,
            tracker=tracker,
            resolver=resolver,
            watchers=(afterlook, escalation),
            tell=settler.tell,
            brokers=list(brokers.values()),
        )
        leadership = Leadership(
            term=term,
            executor=executor,
            state=self.state,
            metrics=self.metrics,
            log_context=self.context,
        )
        elector = self._elector(leadership)
        term.on_fenced(elector.fenced)
        return Executing(
            elector=elector, leadership=leadership, settler=settler, brokers=list(brokers.values())
        )

    def _term(
        self,
        *,
        hub: Hub,
        executor: Executor,
        tracker: Tracker,
        resolver: Resolver,
        watchers: tuple[Watcher, ...],
        tell: Callable[[Told], None],
        brokers: list[Broker],
    ) -> Term:
        decide_here = hub.timing(
            only_where_covered(
                partial(decide, rules=self.rules), self.state, broker_of_signal(self.rules)
            )
        )
        decider = Decider(
            store=self.stores.trading,
            lanes=self.lanes,
            decide=decide_here,
            exits=partial(go_on, rules=self.rules),
            offer=executor.offer,
            ended=self.ended,
            clock=self.clock,
        )
        reconciler = Reconciler(
            trading=self.stores.trading,
            recovery=self.stores.recovery,
            brokers=brokers,
            deployment=self.settings.deployment,
            tell=tell,
            books_evidence=self.settings.orders.book_evidence,
        )
        self.reconciling = Reconciling(
            reconciler=reconciler,
            state=self.state,
            every_s=self.settings.orders.reconcile_every_s,
            covered=decider.sweep_now,
        )
        return Term(
            state=self.state,
            decider=decider,
            executor=executor,
            tracker=tracker,
            resolver=resolver,
            watchers=watchers,
            reconciling=self.reconciling,
            jobs=build_runner(self.stores, self.settings, self.clock, decider.sweep_now),
            recovery=self.stores.recovery,
            brokers=[broker.name for broker in brokers],
            clock=self.clock,
        )

    def _elector(self, leadership: Leadership) -> Elector:
        lease = self.settings.lease
        timing = LeaseTiming(
            ttl_ms=lease.ttl_ms,
            renew_every_ms=lease.renew_every_ms,
            call_timeout_ms=lease.call_timeout_ms,
            give_up_ms=lease.give_up_ms,
        )
        return Elector(
            store=self.stores.leases,
            me=self.me,
            timing=timing,
            clock=self.clock,
            on_start=leadership.start,
            on_stop=leadership.stop,
        )

    def _pulse(self) -> Pulse:
        return Pulse(
            state=self.state,
            metrics=self.metrics,
            clock=self.clock,
            look=self.stores.trading.now,
            beat=self._beat,
            measure=self._measure,
        )

    async def _prepare(self) -> None:
        await migrate(self.url)
        await self.stores.trading.now()
        await self.stores.pool.open()

    def _listening(self, port: int) -> None:
        self.port = port
        log.info("instance.listening", host=self.settings.host, port=port)

    async def _beat(self) -> None:
        presence = Presence(
            state=self.state.state.value,
            is_leader=self.state.is_active,
            version=__version__,
            started_at=self.started_at,
            hostname=_hostname(),
            port=self.port,
            url=f"http://{self.settings.host}:{self.port}",
        )
        await self.stores.instances.beat(self.me, presence)

    async def _measure(self) -> None:
        standing = await self.stores.views.standing()
        self.metrics.intents_in_doubt.set(standing.in_doubt)
        self.metrics.quarantined.set(standing.quarantined)


def _broker_of(brokers: dict[tuple[str, str], Broker], intent: OrderIntent) -> Broker | None:
    return brokers.get((intent.order.broker, intent.order.account))


async def _warm(application: Application) -> None:
    """Do what may be slow; then set all that is there apart from what the collector looks at.

    It lives as long as the process, and going through it again and again costs a tenth of a
    busy instance's time. So does looking after every 700 new objects, few of which are garbage.
    """
    await application.warm()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _close(stores: Stores, executing: Executing | None, redis: RedisParts | None) -> None:
    if redis is not None:
        await redis.connection.close()
    if executing is not None:
        for broker in executing.brokers:
            await broker.close()
    await stores.close()


def _stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once (OPS-2)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if stop.is_set():
            signal.raise_signal(signal.SIGKILL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    return stop


def _hostname() -> str | None:
    """This machine's name; null where it can't be read (CTL-19)."""
    try:
        return socket.gethostname() or None
    except OSError:
        return None
