"""Which jobs the leader runs, and how often."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from onefill.config.settings import JobSettings
from onefill.core.ids import Epoch
from onefill.core.instrument import Rules
from onefill.jobs.watch import Watch
from onefill.ports.jobs import Job
from onefill.postgres.jobs import PostgresJobs
from onefill.postgres.trading.rollovers import PostgresRollovers
from onefill.postgres.watch import PostgresWatch
from onefill.redis.jobs import RedisJobs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class JobStores:
    """What PostgreSQL's jobs work on."""

    jobs: PostgresJobs
    rollovers: PostgresRollovers
    watch: PostgresWatch

    @property
    def all(self) -> tuple[PostgresJobs, PostgresRollovers, PostgresWatch]:
        """Each of them."""
        return self.jobs, self.rollovers, self.watch


def postgres_jobs(
    stores: JobStores, times: JobSettings, rules: Rules, sweep_now: Callable[[], None]
) -> tuple[Job, ...]:
    """All jobs. sweep_now: makes the decider look for work at once."""
    store = stores.jobs
    watch = Watch(
        stores.watch, rules, every_s=float(times.watch_every_s), grace_s=float(times.watch_grace_s)
    )
    return (
        *watch.jobs,
        Job(
            name="rollover_scan", every_s=float(times.rollover_every_s), work=stores.rollovers.scan
        ),
        _sweep(times, store.count_abandoned, sweep_now),
        Job(name="statistics", every_s=float(times.statistics_every_s), work=store.keep_statistics),
        Job(name="signal_log_years", every_s=float(times.cleanup_every_s), work=store.make_years),
        Job(
            name="signal_log_cleanup",
            every_s=float(times.cleanup_every_s),
            work=store.clean_signal_log,
        ),
        _archive(times, store.archive_instances),
        Job(name="housekeeping", every_s=float(times.cleanup_every_s), work=store.keep_house),
    )


def redis_jobs(
    store: RedisJobs, times: JobSettings, sweep_now: Callable[[], None]
) -> tuple[Job, ...]:
    """Those that Redis needs."""
    return (
        _sweep(times, store.count_abandoned, sweep_now),
        _archive(times, store.archive_instances),
    )


def _sweep(
    times: JobSettings,
    count: Callable[[], Awaitable[tuple[int, int]]],
    sweep_now: Callable[[], None],
) -> Job:
    async def sweep(epoch: Epoch) -> str:
        undecided, unsent = await count()
        if undecided or unsent:
            log.warning("jobs.abandoned_work", epoch=epoch, undecided=undecided, unsent=unsent)
            sweep_now()
        return json.dumps({"undecided": undecided, "unsent": unsent})

    return Job(name="abandoned_work", every_s=float(times.sweep_every_s), work=sweep)


def _archive(times: JobSettings, work: Callable[[Epoch], Awaitable[str]]) -> Job:
    return Job(name="stale_instances", every_s=float(times.archive_every_s), work=work)
