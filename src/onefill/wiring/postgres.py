"""Everything that stands on PostgreSQL, made from one address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from onefill.config.settings import Settings
from onefill.core.admission import closed_until
from onefill.core.instrument import Rules
from onefill.core.intake.parse import read
from onefill.core.intake.signal_time import Zones
from onefill.core.portfolio.rollover import must_roll_at
from onefill.disk.memory import DiskMemory
from onefill.ports.clock import RealClock, jitter
from onefill.ports.lease import Holder
from onefill.postgres.authority import PostgresAuthority
from onefill.postgres.connecting import Connecting, open_views
from onefill.postgres.connection import Held, Surroundings
from onefill.postgres.control.handover import PostgresHandovers
from onefill.postgres.control.heartbeat import PostgresInstances
from onefill.postgres.control.history import LeadershipHistory
from onefill.postgres.control.lease import PostgresLeaseStore
from onefill.postgres.control.vigil import PostgresVigil
from onefill.postgres.jobs import PostgresJobs, Retention
from onefill.postgres.listings import PostgresListings
from onefill.postgres.messages import PostgresMessages
from onefill.postgres.migrate import migrate
from onefill.postgres.operators.controls import PostgresControls
from onefill.postgres.recovery import PostgresRecoveryStore
from onefill.postgres.signal_log import DATABASE_SQL, PostgresSignalLog
from onefill.postgres.trading.rates import PostgresRates
from onefill.postgres.trading.rollovers import PostgresRollovers
from onefill.postgres.trading.store import PostgresTradingStore, Terms
from onefill.postgres.views.snapshot import PostgresViews
from onefill.postgres.watch import PostgresWatch
from onefill.wiring.accounts import limits_of
from onefill.wiring.jobs import JobStores, postgres_jobs
from onefill.wiring.stores import Stores

VIEWS_MIN, VIEWS_MAX = 0, 4


class LatePool:
    """A pool that is opened when it is first asked for: people come later than signals."""

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting
        self._pool: Any = None

    async def open(self) -> None:
        """Open it now. Raises StoreUnavailable."""
        if self._pool is None:
            self._pool = await open_views(self._connecting, VIEWS_MIN, VIEWS_MAX)

    def acquire(self) -> Any:
        """A connection of the opened pool."""
        return self._pool.acquire()

    async def close(self) -> None:
        """Close it, if it was opened."""
        if self._pool is not None:
            self._pool.terminate()


def build_postgres_stores(
    url: str,
    me: Holder,
    settings: Settings,
    *,
    clock: RealClock,
    zones: Zones,
    hostname: str | None,
    live: tuple[str, ...],
    rules: Rules,
    history_failed: Callable[[], None],
) -> Stores:
    """Nothing is connected yet: each connection opens at its first use, and again after a break."""
    around = Surroundings(clock, jitter)
    unwatched = Connecting(url=url, holder=me, pooled=settings.database.pooled)
    history = LeadershipHistory(Held(unwatched, around), clock, history_failed)
    authority = _authority(unwatched, around, settings, history)
    connecting = replace(unwatched, inspect=authority.inspect)

    def held(greeting: str = "") -> Held:
        return Held(connecting, around, greeting)

    pool, jobs = LatePool(connecting), _jobs(held, me, settings, rules)
    vigil = PostgresVigil(connecting, clock)
    trading = PostgresTradingStore(connecting, around, _terms(settings, zones, live, rules))
    messages = PostgresMessages(connecting, held(), clock)
    parts: dict[str, Any] = {
        "signal_log": PostgresSignalLog(held(DATABASE_SQL), held(), me.instance),
        "leases": PostgresLeaseStore(held(), held(), history, lambda: vigil.key, hostname),
        "recovery": PostgresRecoveryStore(held(), me.instance),
        "instances": PostgresInstances(held()),
        "handovers": PostgresHandovers(held()),
        "rates": PostgresRates(held()),
        "losses": authority,
        "listings": PostgresListings(held()),
    }

    async def prepare() -> None:
        await migrate(url)
        await pool.open()

    return Stores(
        **parts,
        trading=trading,
        history=history,
        vigil=vigil,
        session_key=lambda: vigil.key,
        views=PostgresViews(pool),
        controls=PostgresControls(pool, initial_capital=settings.initial_capital),
        runs=jobs.jobs,
        jobs=partial(postgres_jobs, jobs, settings.jobs, rules),
        prepare=prepare,
        is_paused=trading.is_paused,
        carriers=(messages,),
        loops=(vigil.run, messages.run),
        closing=[*parts.values(), trading, *jobs.all, messages, pool, history],
    )


def _jobs(held: Callable[[], Held], me: Holder, settings: Settings, rules: Rules) -> JobStores:
    return JobStores(
        PostgresJobs(held(), me.instance, _retention(settings)),
        PostgresRollovers(held(), partial(must_roll_at, rules=rules)),
        PostgresWatch(held(), me.instance),
    )


def _terms(settings: Settings, zones: Zones, live: tuple[str, ...], rules: Rules) -> Terms:
    def is_shut(instrument: str, moment: datetime) -> bool:
        return closed_until(instrument, moment, rules) is not None

    return Terms(
        read=partial(read, zones=zones),
        initial_capital=settings.initial_capital,
        live=live,
        limits=limits_of(settings),
        is_shut=is_shut,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        payloads_days=float(settings.jobs.payloads_days),
        instances_s=float(settings.jobs.archive_after_s),
    )


def _authority(
    connecting: Connecting, around: Surroundings, settings: Settings, history: LeadershipHistory
) -> PostgresAuthority:
    """Remembers how far the database had come, and sees each new connection to it."""
    return PostgresAuthority(
        connecting,
        Held(connecting, around),
        DiskMemory(settings.data, around.clock),
        history,
        doubtful_ms=settings.brokers.binance.recv_window_ms,
        migrate=partial(migrate, connecting.url),
    )
