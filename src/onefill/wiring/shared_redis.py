"""The shared-redis topology: everything that an instance stands on is in one Redis (CTL-21)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from onefill.config.settings import Settings
from onefill.core.book import Decision, Situation, refuse
from onefill.core.intake.parse import read
from onefill.core.intake.signal_time import Zones
from onefill.core.refusal import Refusal
from onefill.core.signal import Engine, LoggedSignal
from onefill.ports.clock import Clock
from onefill.ports.lease import Holder
from onefill.ports.trading import Decide
from onefill.ports.vigil import NoVigil
from onefill.redis import durability
from onefill.redis.authority import RedisAuthority
from onefill.redis.connection import RedisConnection
from onefill.redis.control.handovers import RedisHandovers
from onefill.redis.control.history import RedisHistory
from onefill.redis.control.instances import RedisInstances
from onefill.redis.control.lease import RedisLeaseStore
from onefill.redis.jobs import RedisJobs
from onefill.redis.memory import MemoryFile
from onefill.redis.operators.controls import RedisControls
from onefill.redis.recovery import RedisRecoveryStore
from onefill.redis.signal_log import RedisSignalLog
from onefill.redis.trading.losses import RedisLosses
from onefill.redis.trading.rates import RedisRates
from onefill.redis.trading.store import RedisTradingStore, Terms
from onefill.redis.views.snapshot import RedisViews
from onefill.wiring.jobs import redis_jobs
from onefill.wiring.stores import Stores

CALL_TIMEOUT_MS = 1_000
"""Of the books. The lease has a shorter one, and a connection of its own."""
REMEMBER_EVERY_S = 1.0

log = structlog.get_logger()


def build_redis_stores(
    me: Holder,
    settings: Settings,
    *,
    clock: Clock,
    zones: Zones,
    live: tuple[str, ...],
    history_failed: Callable[[], None],
) -> Stores:
    """Nothing is connected yet: each connection opens at its first use, and again after a break."""
    url = settings.redis.url.get_secret_value()
    renewals = RedisConnection(url, clock, call_timeout_ms=settings.lease.call_timeout_ms)
    connection = RedisConnection(url, clock, call_timeout_ms=CALL_TIMEOUT_MS)
    authority = RedisAuthority(connection, MemoryFile(settings.data / "redis-seen.json"))
    leases = RedisLeaseStore(renewals, authority.verify)
    instances = RedisInstances(authority)
    jobs = RedisJobs(authority, instances, me.instance, float(settings.jobs.archive_after_s))
    terms = Terms(
        read=partial(read, zones=zones), initial_capital=settings.initial_capital, live=live
    )
    trading = RedisTradingStore(authority, me, terms)

    async def prepare() -> None:
        await durability.require(connection)
        await authority.verify()

    async def remember() -> None:
        while True:
            await authority.save()
            await clock.sleep(REMEMBER_EVERY_S)

    return Stores(
        signal_log=RedisSignalLog(authority, me.instance),
        trading=trading,
        leases=leases,
        recovery=RedisRecoveryStore(authority, me.instance),
        instances=instances,
        handovers=RedisHandovers(authority),
        history=RedisHistory(authority, instances, history_failed),
        vigil=NoVigil(),
        session_key=lambda: None,
        views=RedisViews(authority, leases, instances),
        controls=RedisControls(authority),
        runs=jobs,
        jobs=partial(redis_jobs, jobs, settings.jobs),
        rates=RedisRates(authority),
        prepare=prepare,
        is_paused=trading.is_paused,
        losses=RedisLosses(authority),
        loops=(remember,),
        closing=[connection, renewals],
    )


def without_portfolios(decide: Decide) -> Decide:
    """The same rules, but the portfolio engine is refused: its money is in a database."""

    def decide_without(logged: LoggedSignal, situation: Situation) -> Decision:
        if logged.signal.engine is Engine.PORTFOLIO:
            return refuse(Refusal.ENGINE_NOT_AVAILABLE)
        return decide(logged, situation)

    return decide_without
