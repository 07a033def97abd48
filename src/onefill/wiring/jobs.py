"""Which jobs the leader runs, and how often."""

from __future__ import annotations

import json
from collections.abc import Callable

import structlog

from onefill.config.settings import Settings
from onefill.core.ids import Epoch
from onefill.core.instrument import Rules
from onefill.jobs.runner import Runner
from onefill.jobs.watch import Watch
from onefill.ports.clock import Clock
from onefill.ports.jobs import Job
from onefill.wiring.stores import Stores

log = structlog.get_logger()


def build_runner(
    stores: Stores,
    settings: Settings,
    rules: Rules,
    clock: Clock,
    sweep_now: Callable[[], None],
) -> Runner:
    """All jobs. sweep_now: makes the decider look for work at once."""
    times, store = settings.jobs, stores.jobs

    async def sweep(epoch: Epoch) -> str:
        undecided, unsent = await store.count_abandoned()
        if undecided or unsent:
            log.warning("jobs.abandoned_work", epoch=epoch, undecided=undecided, unsent=unsent)
            sweep_now()
        return json.dumps({"undecided": undecided, "unsent": unsent})

    watch = Watch(
        stores.watch,
        rules,
        every_s=float(times.watch_every_s),
        grace_s=float(times.watch_grace_s),
    )
    jobs = (
        *watch.jobs,
        Job(
            name="rollover_scan", every_s=float(times.rollover_every_s), work=stores.rollovers.scan
        ),
        Job(name="abandoned_work", every_s=float(times.sweep_every_s), work=sweep),
        Job(name="statistics", every_s=float(times.statistics_every_s), work=store.keep_statistics),
        Job(
            name="signal_log_cleanup",
            every_s=float(times.cleanup_every_s),
            work=store.clean_signal_log,
        ),
        Job(
            name="stale_instances",
            every_s=float(times.archive_every_s),
            work=store.archive_instances,
        ),
        Job(name="housekeeping", every_s=float(times.cleanup_every_s), work=store.keep_house),
    )
    return Runner(jobs=jobs, runs=store, clock=clock)
