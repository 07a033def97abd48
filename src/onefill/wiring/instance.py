"""From settings to a running instance."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from onefill import __version__
from onefill.config.rules import rules_of
from onefill.config.settings import Settings, Topology
from onefill.core.control.states import ControlEvent
from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch, Lane
from onefill.core.instrument import Rules
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import SignalStatus
from onefill.core.watch import MissKind
from onefill.disk.spool import DiskSpool, spool_folder
from onefill.embedded.server import EmbeddedPostgres
from onefill.flow.awaiting import Awaiting
from onefill.flow.intake import Intake
from onefill.flow.spool import Spooling
from onefill.node.coordination import NodeCoordination, Sources
from onefill.node.instance import Executing, Instance, Parts
from onefill.node.logs import LogContext, set_up_logs
from onefill.node.namesake import outlived
from onefill.node.pulse import Pulse
from onefill.node.reconciling import Reconciling
from onefill.node.safety import Safety
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports import failpoints
from onefill.ports.clock import RealClock, new_boot
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import LEADER, Holder, LeaseStore
from onefill.ports.messages import Messages
from onefill.ports.metrics import Metrics
from onefill.ports.peers import Presence
from onefill.ports.views import ReconcileWish
from onefill.ports.witness import NoWitness, Witness
from onefill.web.app import Application
from onefill.web.server import WebServer
from onefill.wiring.accounts import live_accounts
from onefill.wiring.executing import build_executing
from onefill.wiring.given import Given, heir_of
from onefill.wiring.messages import EveryWay
from onefill.wiring.postgres import build_postgres_stores
from onefill.wiring.redis import RedisParts, build_redis
from onefill.wiring.shared_redis import build_redis_stores
from onefill.wiring.stores import Stores
from onefill.wiring.web import build_application, secrets_of

log = structlog.get_logger()

_NEVER = Epoch(-1)

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
    _set_apart()
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
    """The address of the database: the configured one, or one that runs as long as we do; empty
    where none is needed."""
    if settings.topology is Topology.SHARED_REDIS:
        yield ""
        return
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
        self.sync = SyncHealth(self.metrics)
        self.changed: Topic[None] = Topic()
        self.state = NodeState(self.me.instance, str(self.me.boot))
        self.lanes: Inbox[Lane] = Inbox()
        self.ended: Topic[Ended] = Topic()
        self.stores: Stores = self._stores()
        self.redis = build_redis(
            settings, self.me, self.state, metrics=self.metrics, clock=self.clock, lanes=self.lanes
        )
        carriers: list[Messages] = [*self.stores.carriers]
        if self.redis is not None:
            carriers.append(self.redis.messages)
        self.messages = EveryWay(carriers)
        self.witness: Witness = self.redis.witness if self.redis else NoWitness()
        self.safety = Safety(losses=self.stores.losses, state=self.state, metrics=self.metrics)
        self.port: int | None = None
        self.reconciling: Reconciling | None = None

    def _stores(self) -> Stores:
        common: dict[str, Any] = {
            "clock": self.clock,
            "zones": self.zones,
            "live": live_accounts(self.settings),
            "history_failed": self.metrics.history_failures.add,
        }
        if self.settings.topology is Topology.SHARED_REDIS:
            return build_redis_stores(self.me, self.settings, **common)
        return build_postgres_stores(
            self.url, self.me, self.settings, hostname=_hostname(), rules=self.rules, **common
        )

    async def parts(self) -> Parts:
        """The instance's parts."""
        log_ = self.stores.signal_log
        intake = Intake(
            signal_log=log_,
            lanes=self.lanes,
            metrics=self.metrics,
            clock=self.clock,
            gossip=self.redis.gossip if self.redis else None,
        )
        awaiting = Awaiting(signal_log=log_, ended=self.ended, clock=self.clock)
        spooling = self._spooling(intake)
        executing = self._executing() if self.settings.role.executes else None
        self.reconciling = executing.reconciling if executing is not None else None
        coordination = self._coordination(executing)
        application = build_application(
            self.settings,
            self.state,
            self.stores,
            coordination=coordination,
            intake=intake,
            awaiting=awaiting,
            zones=self.zones,
            metrics=self.metrics,
            clock=self.clock,
            reconcile=self._reconcile_now,
            spooling=spooling,
        )
        return Parts(
            state=self.state,
            server=WebServer(application, host=self.settings.host, port=self.settings.port),
            intake=intake,
            awaiting=awaiting,
            pulse=self._pulse(),
            executing=executing,
            beside=(
                *self.stores.loops,
                spooling.run,
                coordination.watch,
                *(self.redis.loops if self.redis else ()),
            ),
            takes_in=self.settings.role.takes_in,
            prepare=self._prepare,
            listening=self._listening,
            warm=partial(_warm, application),
            leave=partial(self.stores.instances.leave, self.me),
            close=partial(_close, self.stores, executing, self.redis),
            clock=self.clock,
        )

    def _spooling(self, intake: Intake) -> Spooling:
        folder = spool_folder(self.settings.data)
        spool = DiskSpool(folder, bytes_max=self.settings.spool.bytes_max)
        self.state.spooled = lambda: spool.waiting
        return Spooling(
            spool=spool,
            take_in=intake.take_in,
            zones=self.zones,
            is_up=lambda: self.state.database_up and self.state.taking_in,
            metrics=self.metrics,
            clock=self.clock,
        )

    async def _reconcile_now(self, wish: ReconcileWish) -> bool:
        return self.reconciling is not None and await self.reconciling.ask(wish)

    def _executing(self) -> Executing:
        return build_executing(
            Given(
                settings=self.settings,
                me=self.me,
                rules=self.rules,
                stores=self.stores,
                state=self.state,
                metrics=self.metrics,
                sync=self.sync,
                context=self.context,
                clock=self.clock,
                lanes=self.lanes,
                ended=self.ended,
                messages=self.messages,
                witness=self.witness,
                safety=self.safety,
            )
        )

    def _coordination(self, executing: Executing | None) -> NodeCoordination:
        stores = self.stores
        return NodeCoordination(
            state=self.state,
            sources=Sources(
                views=stores.views,
                requests=stores.handovers,
                history=stores.history,
                witness=self.witness,
                audit=stores.controls.note,
            ),
            sync=self.sync,
            clock=self.clock,
            takeover=executing.takeover if executing is not None else None,
            giving=executing.giving if executing is not None else None,
            changed=self.changed,
        )

    def _pulse(self) -> Pulse:
        return Pulse(
            state=self.state,
            metrics=self.metrics,
            clock=self.clock,
            look=self._look,
            beat=self._beat,
            measure=self._measure,
            sync=self.sync,
            shown=lambda: (self.state.state, self.stores.session_key(), dict(self.state.refused)),
        )

    async def _prepare(self) -> None:
        await self.stores.prepare()
        await outlived(partial(self.stores.instances.namesake, self.me), self.clock)
        await self.safety.look()
        if self.settings.role.takes_in:
            await self.stores.signal_log.identify()  # on the connection that webhooks wait for
        if self.settings.role.executes:
            await asyncio.to_thread(_read_calendars, self.rules)
            await _acquaint(self.stores.leases, self.me)

    def _listening(self, port: int) -> None:
        self.port = port
        log.info("instance.listening", host=self.settings.host, port=port)

    async def _look(self) -> None:
        """Whether the store answers and is what it was, and whether a person paused trading."""
        await self.safety.look()
        paused = await self.stores.is_paused()
        self.state.move(ControlEvent.PAUSED if paused else ControlEvent.RESUMED)

    async def _beat(self) -> None:
        presence = Presence(
            state=self.state.state.value,
            is_leader=self.state.is_active,
            version=__version__,
            started_at=self.started_at,
            hostname=_hostname(),
            port=self.port,
            url=f"http://{self.settings.host}:{self.port}",
            session_key=self.stores.session_key(),
            heir=replace(heir_of(self.settings, self.me.instance), may_send=not self.state.refused),
            executes=self.settings.role.executes,
        )
        await self.stores.instances.beat(self.me, presence)

    async def _measure(self) -> None:
        standing = await self.stores.views.standing()
        self.metrics.intents_in_doubt.set(standing.in_doubt)
        self.metrics.quarantined.set(standing.quarantined)
        for kind in MissKind:
            missed = sum(miss.kind == kind.value for miss in standing.missed)
            self.metrics.missed_signals.set(missed, kind.value)


def _read_calendars(rules: Rules) -> None:
    """Now, and beside the loop: a leader whose first decision waits for it loses its lease."""
    dict(rules.holidays)


async def _warm(application: Application) -> None:
    """Do what may be slow, once there is nothing more urgent."""
    await application.warm()
    _set_apart()


def _set_apart() -> None:
    """Keep the collector from what is there now: it lives as long as the process.

    Going through it finds nothing, and takes so long that a leader on a machine that is short of
    time loses its lease over it; and looking after every 700 new objects finds little, since few
    of them are in circles.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _acquaint(leases: LeaseStore, me: Holder) -> None:
    """Open the lease's connections, and ask what will be asked, of an epoch that never was.

    A lease call has no time for it: on a slow machine, the first ones would be in vain.
    """
    await leases.read(LEADER)
    await leases.renew(LEADER, _NEVER, me, ttl_ms=0)
    await leases.acquire(LEADER, _NEVER, me, ttl_ms=0)


async def _close(stores: Stores, executing: Executing | None, redis: RedisParts | None) -> None:
    if redis is not None:
        await redis.close()
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
