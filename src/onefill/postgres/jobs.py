"""ports.jobs.JobLog on PostgreSQL, and the jobs that are statements. Every write is fenced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from onefill.core.ids import Epoch
from onefill.core.portfolio.statistics import Statistics
from onefill.ports.jobs import JobOutcome, JobRun
from onefill.postgres.cleanup import empty_payloads
from onefill.postgres.connection import Held
from onefill.postgres.views.statistics import statistics_of
from onefill.postgres.years import make_room

_LAST = """
SELECT clock_timestamp() AS now, r.* FROM (SELECT 1) AS one
LEFT JOIN (SELECT DISTINCT ON (job) job, epoch, started_at, outcome FROM job_runs
           ORDER BY job, id DESC) AS r ON true"""
_ABANDON = """
UPDATE job_runs SET outcome = 'abandoned', ended_at = clock_timestamp()
WHERE job = $1 AND outcome IS NULL"""
_BEGIN = "INSERT INTO job_runs (job, instance, epoch) VALUES ($1, $2, $3) RETURNING id"
_END = """
UPDATE job_runs SET outcome = $2, details = $3, ended_at = clock_timestamp() WHERE id = $1"""

_PORTFOLIOS = "SELECT portfolio FROM portfolio_state ORDER BY portfolio"
_FIGURES = [field.name for field in fields(Statistics)]
_KEEP_FIGURES = f"""
INSERT INTO trading_statistics (portfolio, instrument, computed_at, {", ".join(_FIGURES)})
VALUES ($1, $2, $3, {", ".join(f"${n + 4}" for n in range(len(_FIGURES)))})
ON CONFLICT (portfolio, instrument) DO UPDATE SET computed_at = EXCLUDED.computed_at,
{", ".join(f"{name} = EXCLUDED.{name}" for name in _FIGURES)}"""

_ARCHIVE = """
UPDATE instance_metadata SET status = 'archived', is_leader = false
WHERE status <> 'archived' AND last_heartbeat < clock_timestamp() - $1 * interval '1 second'
RETURNING instance"""

_MONTH_AHEAD = """
SELECT unnest(ARRAY[clock_timestamp(), clock_timestamp() + interval '31 days']) AS moment"""

# Never SENDING: what may have been sent is the resolver's.
_STUCK = """
SELECT (SELECT count(*) FROM signal_log
        WHERE processing_status = 'received'
          AND received_at < clock_timestamp() - interval '1 minute') AS undecided,
       (SELECT count(*) FROM order_intents
        WHERE state = 'NEW' AND created_at < clock_timestamp() - interval '1 minute') AS unsent"""

_HOUSEKEEPING = (
    ("job_runs", "started_at", 30),
    ("reconciliations", "at", 90),
    ("missed_signals", "raised_at", 90),
)
_SWEEP_OUT = """
DELETE FROM {table} WHERE id IN (
    SELECT id FROM {table} WHERE {column} < clock_timestamp() - $1 * interval '1 day'
      AND id < (SELECT max(id) FROM {table}) ORDER BY id LIMIT $2) RETURNING 1"""

BATCH = 500
BATCHES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how long payloads are kept, and instances that are not heard of are listed."""

    payloads_days: float = 7
    instances_s: float = 3600


class PostgresJobs:
    """Belongs to one event loop."""

    def __init__(self, held: Held, instance: str, retention: Retention) -> None:
        self._held = held
        self._instance = instance
        self._retention = retention

    # The record --------------------------------------------------------------------------------

    async def last_runs(self) -> tuple[datetime, Mapping[str, JobRun]]:
        """The database's clock, and the newest run of each job."""
        rows = await self._held.read(_LAST)
        runs = {
            row["job"]: JobRun(
                job=row["job"],
                epoch=Epoch(row["epoch"]),
                started_at=row["started_at"],
                outcome=None if row["outcome"] is None else JobOutcome(row["outcome"]),
            )
            for row in rows
            if row["job"] is not None
        }
        return rows[0]["now"], runs

    async def begin(self, epoch: Epoch, job: str) -> int:
        """Record that a run starts; an unfinished one before it becomes abandoned."""
        async with self._held.guarded(epoch) as transaction:
            await transaction.fetch(_ABANDON, job)
            rows = await transaction.fetch(_BEGIN, job, self._instance, int(epoch))
        run: int = rows[0]["id"]
        return run

    async def end(self, epoch: Epoch, run: int, outcome: JobOutcome, details: str) -> None:
        """Record how it ended."""
        async with self._held.guarded(epoch) as transaction:
            await transaction.fetch(_END, run, outcome.value, details)

    # The work ----------------------------------------------------------------------------------

    async def keep_statistics(self, epoch: Epoch) -> str:
        """Compute every portfolio's figures anew from its fills (PF-14)."""
        names = [row["portfolio"] for row in await self._held.read(_PORTFOLIOS)]
        for name in names:
            async with self._held.guarded(epoch) as transaction:
                report = await statistics_of(transaction, name)
                for instrument, figures in report.figures.items() if report else ():
                    values = [getattr(figures, field) for field in _FIGURES]
                    moment = report.computed_at if report else None
                    await transaction.fetch(_KEEP_FIGURES, name, instrument, moment, *values)
        return json.dumps({"portfolios": len(names)})

    async def clean_signal_log(self, epoch: Epoch) -> str:
        """Empty payloads past their retention; fingerprints stay for ever (SIG-17)."""
        cleaned = await empty_payloads(self._held, epoch, self._retention.payloads_days)
        return json.dumps({"payloads": cleaned})

    async def make_years(self, epoch: Epoch) -> str:
        """Make room in the signal log for this year and, in its last month, for the next."""
        async with self._held.guarded(epoch) as transaction:
            moments = [row["moment"] for row in await transaction.fetch(_MONTH_AHEAD)]
            made = await make_room(transaction, moments)
        return json.dumps({"years": made})

    async def archive_instances(self, epoch: Epoch) -> str:
        """Put aside instances that were not heard of for long (CTL-17)."""
        async with self._held.guarded(epoch) as transaction:
            rows = await transaction.fetch(_ARCHIVE, self._retention.instances_s)
        return json.dumps({"archived": [row["instance"] for row in rows]})

    async def count_abandoned(self) -> tuple[int, int]:
        """Signals undecided, and orders unsent, for longer than a minute."""
        row = (await self._held.read(_STUCK))[0]
        return row["undecided"], row["unsent"]

    async def keep_house(self, epoch: Epoch) -> str:
        """Delete old records that nothing refers to, the newest of each kind excepted."""
        deleted = {}
        for table, column, days in _HOUSEKEEPING:
            statement = _SWEEP_OUT.format(table=table, column=column)
            deleted[table] = 0
            for _ in range(BATCHES_MAX):
                async with self._held.guarded(epoch) as transaction:
                    count = len(await transaction.fetch(statement, days, BATCH))
                deleted[table] += count
                if count < BATCH:
                    break
        return json.dumps({"deleted": deleted})

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()
