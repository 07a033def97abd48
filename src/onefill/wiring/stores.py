"""Everything that stands on PostgreSQL, made from one address."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from onefill.config.settings import Settings
from onefill.core.parse import read
from onefill.core.signal_time import Zones
from onefill.disk.memory import DiskMemory
from onefill.ports.clock import RealClock, jitter
from onefill.ports.lease import Holder
from onefill.ports.messages import Messages
from onefill.postgres.authority import PostgresAuthority
from onefill.postgres.connection import Connecting, Held, Surroundings, open_views
from onefill.postgres.controls import PostgresControls
from onefill.postgres.handover import PostgresHandovers
from onefill.postgres.heartbeat import PostgresInstances
from onefill.postgres.history import LeadershipHistory
from onefill.postgres.jobs import PostgresJobs, Retention
from onefill.postgres.lease import PostgresLeaseStore
from onefill.postgres.messages import PostgresMessages
from onefill.postgres.migrate import migrate
from onefill.postgres.rates import PostgresRates
from onefill.postgres.recovery import PostgresRecoveryStore
from onefill.postgres.rollovers import MustRoll, PostgresRollovers
from onefill.postgres.signal_log import DATABASE_SQL, PostgresSignalLog
from onefill.postgres.trading import PostgresTradingStore, Terms
from onefill.postgres.views import PostgresViews
from onefill.postgres.vigil import PostgresVigil
from onefill.postgres.watch import PostgresWatch
from onefill.wiring.accounts import limits_of

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


@dataclass(slots=True)
class Stores:
    """All stores of one instance."""

    connecting: Connecting
    signal_log: PostgresSignalLog
    trading: PostgresTradingStore
    leases: PostgresLeaseStore
    recovery: PostgresRecoveryStore
    instances: PostgresInstances
    handovers: PostgresHandovers
    history: LeadershipHistory
    vigil: PostgresVigil
    messages: Messages
    pool: LatePool
    views: PostgresViews
    controls: PostgresControls
    jobs: PostgresJobs
    authority: PostgresAuthority
    rollovers: PostgresRollovers
    rates: PostgresRates
    watch: PostgresWatch
    closing: list[Any] = field(default_factory=list)

    async def close(self) -> None:
        """Let every connection go."""
        for store in self.closing:
            await store.close()


def build_stores(
    url: str,
    me: Holder,
    settings: Settings,
    *,
    clock: RealClock,
    zones: Zones,
    hostname: str | None,
    live: tuple[str, ...],
    must_roll: MustRoll,
) -> Stores:
    """Nothing is connected yet: each connection opens at its first use, and again after a break."""
    around = Surroundings(clock, jitter)
    unwatched = Connecting(url=url, holder=me, pooled=settings.database.pooled)
    history = LeadershipHistory(Held(unwatched, around), clock, hostname)
    authority = _authority(unwatched, around, settings, history)
    connecting = replace(unwatched, inspect=authority.inspect)

    def held(greeting: str = "") -> Held:
        return Held(connecting, around, greeting)

    terms = Terms(
        read=partial(read, zones=zones),
        initial_capital=settings.initial_capital,
        live=live,
        limits=limits_of(settings),
    )
    pool, vigil = LatePool(connecting), PostgresVigil(connecting, clock)
    stores = Stores(
        connecting=connecting,
        signal_log=PostgresSignalLog(held(DATABASE_SQL), held(), me.instance),
        trading=PostgresTradingStore(connecting, around, terms),
        leases=PostgresLeaseStore(held(), held(), history, lambda: vigil.key),
        recovery=PostgresRecoveryStore(held(), me.instance),
        instances=PostgresInstances(held()),
        handovers=PostgresHandovers(held()),
        history=history,
        vigil=vigil,
        messages=PostgresMessages(connecting, held(), clock),
        pool=pool,
        views=PostgresViews(pool),
        controls=PostgresControls(pool, initial_capital=settings.initial_capital),
        authority=authority,
        jobs=PostgresJobs(held(), me.instance, _retention(settings)),
        rollovers=PostgresRollovers(held(), must_roll),
        rates=PostgresRates(held()),
        watch=PostgresWatch(held(), me.instance),
    )
    stores.closing = [*_closing(stores), pool, history]
    return stores


def _retention(settings: Settings) -> Retention:
    return Retention(
        payloads_days=float(settings.jobs.payloads_days),
        instances_s=float(settings.jobs.archive_after_s),
    )


def _closing(stores: Stores) -> list[Any]:
    """Those with a connection of their own, in the order in which they let go."""
    return [
        stores.signal_log,
        stores.authority,
        stores.trading,
        stores.leases,
        stores.recovery,
        stores.instances,
        stores.jobs,
        stores.handovers,
        stores.messages,
        stores.rollovers,
        stores.rates,
        stores.watch,
    ]


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
