"""Background jobs on a real database: fenced, recorded, and made up by the next leader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from manual_clock import ManualClock
from onefill.core.errors import Fenced
from onefill.core.ids import Epoch
from onefill.jobs.runner import Runner
from onefill.ports.jobs import Job, JobOutcome
from onefill.postgres.jobs import PostgresJobs, Retention
from onefill.postgres.years import make_room
from support import until
from trading_support import TTL_MS, PostgresAuthority, holder, lead
from web.rows import TRADE


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


def jobs_of(postgres: PostgresAuthority, name: str = "a") -> PostgresJobs:
    return PostgresJobs(postgres.held(holder(name)), name, Retention())


@pytest.mark.req("CTL-20")
async def test_due_jobs_run_once_and_a_failure_stops_no_other(postgres: PostgresAuthority) -> None:
    epoch, runs, worked = await lead(postgres, holder("a")), jobs_of(postgres), []

    async def fails(_: Epoch) -> str:
        raise ValueError("no luck")

    async def works(_: Epoch) -> str:
        worked.append(1)
        return "all well"

    jobs = [Job(name="b", every_s=60, work=fails), Job(name="c", every_s=60, work=works)]
    clock = ManualClock()
    running = asyncio.create_task(Runner(jobs=jobs, runs=runs, clock=clock).run(epoch))
    await until(lambda: worked)
    await clock.advance(1)

    async def both() -> list[dict[str, object]]:
        rows = await postgres.rows("SELECT job, outcome, details FROM job_runs ORDER BY id")
        return rows if len(rows) == 2 and rows[1]["outcome"] else []

    rows = await until(both)
    assert [tuple(row.values()) for row in rows] == [
        ("b", "failed", "ValueError: no luck"),
        ("c", "done", "all well"),
    ]
    assert worked == [1]
    running.cancel()


@pytest.mark.req("CTL-1", "CTL-20")
async def test_a_past_epoch_can_neither_begin_nor_end_nor_do_anything(
    postgres: PostgresAuthority,
) -> None:
    old, runs = await lead(postgres, holder("a")), jobs_of(postgres)
    run = await runs.begin(old, "statistics")
    await postgres.leases(holder("a")).release("leader", old, holder("a"))
    new = await postgres.leases(holder("b")).acquire("leader", old, holder("b"), TTL_MS)
    assert new is not None
    for write in (
        runs.begin(old, "statistics"),
        runs.end(old, run, JobOutcome.DONE, ""),
        runs.clean_signal_log(old),
        runs.archive_instances(old),
        runs.keep_house(old),
    ):
        with pytest.raises(Fenced):
            await write
    assert await jobs_of(postgres, "b").begin(new, "statistics") > run
    rows = await postgres.rows("SELECT outcome FROM job_runs ORDER BY id")
    assert [row["outcome"] for row in rows] == ["abandoned", None]


@pytest.mark.req("PF-14", "CTL-20")
async def test_statistics_are_kept_for_each_instrument_and_in_total(
    postgres: PostgresAuthority,
) -> None:
    epoch, runs = await lead(postgres, holder("a")), jobs_of(postgres)
    for statement in TRADE.split(";"):
        if statement.strip():
            await postgres.rows(statement)
    for _ in range(2):  # again: the same rows, not more
        assert json.loads(await runs.keep_statistics(epoch)) == {"portfolios": 1}
    rows = await postgres.rows("SELECT instrument, open_trades FROM trading_statistics ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [("ALL", 1), ("GOLD_MINI", 1)]


_LOGGED = """
INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument,
    signal_time, signal_second, received_at, received_by, payload, processing_status, ended_at)
SELECT sha256((n + $1)::text::bytea), 'l', 'direct', 'BUY', 'main', 'X', at, at,
       now() - $3 * interval '1 day', 'a', '{"a": 1}', 'executed',
       CASE WHEN n > $4 THEN now() END
FROM generate_series(1, $2) n, LATERAL (
    SELECT ('{2026-01-15, 2041-01-15, 2042-01-15}'::timestamptz[])[1 + n % 3] AS at) times"""
YEARS = [datetime(year, 1, 15, tzinfo=UTC) for year in (2026, 2041, 2042)]


async def over_three_years(postgres: PostgresAuthority) -> None:
    """Room for _LOGGED, whose numbers go from partition to partition and back."""
    async with postgres.held(holder("a")).transaction() as transaction:
        await make_room(transaction, YEARS)


async def cleaned(runs: PostgresJobs, epoch: Epoch) -> int:
    """How many payloads a run empties."""
    emptied: int = json.loads(await runs.clean_signal_log(epoch))["payloads"]
    return emptied


async def whole(postgres: PostgresAuthority) -> int:
    rows = await postgres.rows("SELECT count(*) AS n FROM signal_log WHERE payload <> '{}'")
    return int(str(rows[0]["n"]))


@pytest.mark.req("SIG-17")
async def test_old_payloads_go_fingerprints_and_what_is_not_over_stay(
    postgres: PostgresAuthority,
) -> None:
    epoch, runs = await lead(postgres, holder("a")), jobs_of(postgres)
    await over_three_years(postgres)
    await postgres.rows(_LOGGED, 0, 4_500, 8, 1)  # the first of them has not ended
    await postgres.rows(_LOGGED, 4_500, 100, 6, 0)
    assert await cleaned(runs, epoch) == 4_499
    assert await cleaned(runs, epoch) == 0
    rows = await postgres.rows("SELECT count(DISTINCT fingerprint) AS prints FROM signal_log")
    assert (rows[0]["prints"], await whole(postgres)) == (4_600, 101)
    # It ends at last, others grow old, and the next leader goes on where this one was.
    await postgres.rows("UPDATE signal_log SET ended_at = now() WHERE ended_at IS NULL")
    await postgres.rows("UPDATE signal_log SET received_at = now() - interval '9 days'")
    assert await cleaned(jobs_of(postgres, "b"), epoch) == 101
    assert await whole(postgres) == 0


@pytest.mark.req("SIG-17", "P-8")
async def test_a_run_looks_only_at_what_has_grown_old_since_the_last_one(
    postgres: PostgresAuthority,
) -> None:
    epoch, runs = await lead(postgres, holder("a")), jobs_of(postgres)
    await over_three_years(postgres)
    await postgres.rows(_LOGGED, 0, 5_000, 8, 0)
    assert await cleaned(runs, epoch) == 5_000
    # Were these looked at again, they would be emptied again.
    await postgres.rows("UPDATE signal_log SET payload = '[]'")
    await postgres.rows(_LOGGED, 5_000, 10, 8, 0)
    assert await cleaned(runs, epoch) == 10
    assert await whole(postgres) == 5_000


@pytest.mark.req("CTL-17", "CTL-20")
async def test_gone_instances_are_put_aside_and_old_records_deleted(
    postgres: PostgresAuthority,
) -> None:
    epoch, runs = await lead(postgres, holder("a")), jobs_of(postgres)
    await postgres.rows("""
        INSERT INTO instance_metadata (instance, boot, started_at, last_heartbeat, state, version)
        VALUES ('gone', gen_random_uuid(), now(), now() - interval '2 days', 'STANDBY', '1'),
               ('here', gen_random_uuid(), now(), now(), 'STANDBY', '1')""")
    await postgres.rows("""
        INSERT INTO job_runs (job, instance, epoch, started_at)
        SELECT 'x', 'a', 1, now() - n * interval '1 day' FROM generate_series(40, 0, -1) n""")
    assert json.loads(await runs.archive_instances(epoch)) == {"archived": ["gone"]}
    assert json.loads(await runs.keep_house(epoch))["deleted"]["job_runs"] == 11


@pytest.mark.req("CTL-20")
async def test_the_sweep_counts_what_lies_about_and_never_what_is_being_sent(
    postgres: PostgresAuthority,
) -> None:
    runs = jobs_of(postgres)
    await postgres.rows("""
        INSERT INTO order_intents (client_order_id, lane, portfolio, instrument, source, leg,
            action, n, verb, broker, account, venue, symbol, exchange, side, quantity, order_type,
            reduce_only, adds_exposure, state, created_at)
        SELECT state, 'l', 'main', 'X', state, 'main', 'trade', 1, 'place', 'binance', 'paper',
               'paper', 'X', '', 'BUY', 1, 'MARKET', false, true, state,
               now() - interval '2 minutes' FROM unnest('{NEW,SENDING}'::text[]) state""")
    assert await runs.count_abandoned() == (0, 1)
