"""The partitions of PostgreSQL's signal log: made ahead, made on demand, and in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from onefill.core.errors import Bug, Fenced, StoreUnavailable
from onefill.core.ids import Lane
from onefill.core.signal import SignalStatus
from onefill.flow.intake import DuplicateLayer, Intake
from onefill.ports.clock import RealClock
from onefill.ports.figures import Closing
from onefill.ports.hints import Inbox
from onefill.ports.metrics import Metrics
from onefill.ports.signal_log import Logged, NewSignal
from onefill.ports.views import Actor
from onefill.postgres.connection import Transaction
from onefill.postgres.jobs import PostgresJobs, Retention
from onefill.postgres.operators.controls import PostgresControls
from onefill.postgres.years import make_room
from support import until
from trading_support import TTL_MS, PostgresAuthority, buy, holder, lead, new_signal, payload_of
from turns import turn

pytestmark = [
    pytest.mark.req("SIG-17"),
    pytest.mark.parametrize("authority", ["postgres-18", "postgres-15"], indirect=True),
]

ME = holder("a")
BAR = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
IN_2051 = datetime(2051, 6, 1, tzinfo=UTC)

MADE_OF = (
    "SELECT substring(indexdef FROM ' ON .*') AS said FROM pg_indexes WHERE tablename = $1",
    "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conrelid = to_regclass($1)",
    "SELECT reloptions::text AS said FROM pg_class WHERE oid = to_regclass($1)",
    "SELECT concat_ws(' ', attname, pg_get_expr(adbin, adrelid), attnotnull) AS said"
    " FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)"
    " WHERE attrelid = to_regclass($1) AND attnum > 0",
)


@pytest.fixture
def postgres(authority: PostgresAuthority) -> PostgresAuthority:
    """A migrated database, with room up to the end of this year."""
    return authority


def signals(at: datetime, count: int = 1, name: str = "o") -> list[NewSignal]:
    return [new_signal(buy("SIM001", at, f"{name}{n}")) for n in range(count)]


async def years(postgres: PostgresAuthority) -> list[str]:
    """The partitions behind the first one."""
    rows = await postgres.rows(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'signal_log'::regclass ORDER BY 1"
    )
    names = [str(row["name"]) for row in rows]
    assert names[-1] == "signal_log_first"
    return names[:-1]


@contextlib.asynccontextmanager
async def open_transaction(postgres: PostgresAuthority) -> AsyncIterator[asyncpg.Connection]:
    """A session in the middle of a transaction, which commits at the end."""
    connection = await asyncpg.connect(postgres.url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def make(postgres: PostgresAuthority, moments: Sequence[datetime]) -> list[int]:
    """Make room in a transaction of its own."""
    async with postgres.held(holder("maker")).transaction() as transaction:
        return await make_room(transaction, moments)


async def waiting(postgres: PostgresAuthority) -> bool:
    """Whether somebody waits for a lock in this database."""
    rows = await postgres.rows(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(rows[0]["n"])


async def test_a_year_without_room_is_made_by_the_signal_that_needs_it(
    postgres: PostgresAuthority,
) -> None:
    log = postgres.signals(ME)
    group = [*signals(BAR, 3), *signals(IN_2051, 3), *signals(IN_2051 + timedelta(days=800), 3)]
    first = list(await log.append(group))
    assert [isinstance(answer, Logged) and answer.fresh for answer in first] == [True] * 9
    assert await years(postgres) == ["signal_log_2051", "signal_log_2053"]
    again = list(await log.append(group))
    assert [isinstance(answer, Logged) and answer.fresh for answer in again] == [False] * 9


async def test_a_new_year_is_made_like_the_first(postgres: PostgresAuthority) -> None:
    """Its indexes with their settings, its constraints, its fill factor."""
    await make(postgres, [IN_2051])
    for made_of in MADE_OF:
        first, later = [
            {str(row["said"]).replace(name, "") for row in await postgres.rows(made_of, name)}
            for name in ("signal_log_first", "signal_log_2051")
        ]
        assert first == later
        assert first


async def test_of_many_who_need_the_same_year_at_once_each_ends_well(
    postgres: PostgresAuthority,
) -> None:
    logs = [postgres.signals(holder(name)) for name in "abcdef"]
    groups = [signals(IN_2051, 5, name) for name in "abcdef"]
    answers = await asyncio.gather(
        *(log.append(group) for log, group in zip(logs, groups, strict=True))
    )
    assert all(isinstance(one, Logged) and one.fresh for answer in answers for one in answer)
    assert await years(postgres) == ["signal_log_2051"]


async def test_who_comes_second_waits_and_finds_the_year_made(postgres: PostgresAuthority) -> None:
    async with open_transaction(postgres) as first:
        assert await make_room(Transaction(first), [IN_2051]) == [2051]
        second = asyncio.create_task(make(postgres, [IN_2051]))
        await until(lambda: waiting(postgres))
    assert await second == []


async def test_a_year_is_made_while_others_read_and_write_and_while_it_is_they_go_on(
    postgres: PostgresAuthority,
) -> None:
    log = postgres.signals(ME)
    await log.append(signals(BAR))
    async with open_transaction(postgres) as busy:
        await busy.execute("UPDATE signal_log SET reason = 'busy'")
        await busy.fetch("SELECT * FROM signal_log FOR NO KEY UPDATE")
        assert await make(postgres, [IN_2051]) == [2051]
    async with open_transaction(postgres) as maker:
        await make_room(Transaction(maker), [datetime(2052, 1, 1, tzinfo=UTC)])
        [answer] = await log.append(signals(BAR, 1, "meanwhile"))
        assert isinstance(answer, Logged)
        await log.count_duplicates({answer.signal_id: 1})
        assert (await log.progress([answer.signal_id]))[answer.signal_id].status is (
            SignalStatus.RECEIVED
        )


async def test_whatever_hinders_a_new_year_is_no_verdict_on_the_signal(
    postgres: PostgresAuthority,
) -> None:
    """A table of that name made by hand, at the same moment and before."""
    log = postgres.signals(ME)
    async with open_transaction(postgres) as hand:
        await hand.execute("CREATE TABLE signal_log_2051 (n integer)")
        refused = asyncio.create_task(log.append(signals(IN_2051)))
        await until(lambda: waiting(postgres))
    with pytest.raises(StoreUnavailable):
        await refused
    with pytest.raises(Bug):
        await log.append(signals(IN_2051))
    await postgres.rows("DROP TABLE signal_log_2051")
    [answer] = await log.append(signals(IN_2051))
    assert isinstance(answer, Logged)
    assert answer.fresh


async def test_who_can_not_wait_for_the_maker_says_unavailable(postgres: PostgresAuthority) -> None:
    log = postgres.signals(ME)
    async with open_transaction(postgres) as maker:
        await make_room(Transaction(maker), [IN_2051])
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await log.append(signals(IN_2051))
    [answer] = await log.append(signals(IN_2051))
    assert isinstance(answer, Logged)


async def test_the_leaders_job_makes_this_year_and_the_next_in_time(
    postgres: PostgresAuthority,
) -> None:
    epoch = await lead(postgres, ME)
    runs = PostgresJobs(postgres.held(ME), "a", Retention())
    # As after years of sleep: there is room up to 2001 only.
    await postgres.rows("DROP TABLE signal_log_first")
    await postgres.rows(
        "CREATE TABLE signal_log_first PARTITION OF signal_log"
        " FOR VALUES FROM (MINVALUE) TO ('2001-01-01 00:00:00+00')"
    )
    (asked,) = await postgres.rows(
        "SELECT array_agg(DISTINCT extract(year FROM at AT TIME ZONE 'UTC')::integer) AS needed"
        " FROM unnest(ARRAY[now(), now() + interval '31 days']) AS at"
    )
    made = json.loads(await runs.make_years(epoch))["years"]
    assert made == asked["needed"]
    assert await years(postgres) == [f"signal_log_{year}" for year in made]
    assert json.loads(await runs.make_years(epoch)) == {"years": []}
    await postgres.leases(ME).release("leader", epoch, ME)
    assert await postgres.leases(holder("b")).acquire("leader", epoch, holder("b"), TTL_MS)
    with pytest.raises(Fenced):
        await runs.make_years(epoch)


@pytest.mark.req("SIG-10", "CTL-8")
async def test_a_new_year_voids_what_was_remembered_and_alarms_nobody(
    postgres: PostgresAuthority,
) -> None:
    log = postgres.signals(ME)
    intake = Intake(signal_log=log, lanes=Inbox[Lane](), metrics=Metrics(), clock=RealClock())
    running = asyncio.create_task(intake.run())
    await turn()
    signal = buy("SIM001", BAR, "o")
    first = await intake.take_in(signal, payload_of(signal))
    known = await intake.take_in(signal, payload_of(signal))
    before = log.database
    await make(postgres, [IN_2051])
    await log.identify()
    assert log.database != before
    again = await intake.take_in(signal, payload_of(signal))
    assert (known.layer, again.layer) == (DuplicateLayer.MEMORY, DuplicateLayer.CONSTRAINT)
    assert again.signal_id == first.signal_id
    assert await postgres.rows("SELECT * FROM authority_losses") == []
    running.cancel()


@pytest.mark.req("SIG-10", "OPS-7")
async def test_one_year_that_was_put_back_makes_another_database(
    postgres: PostgresAuthority,
) -> None:
    log = postgres.signals(ME)
    await log.append([*signals(BAR), *signals(IN_2051)])
    await log.identify()
    before = log.database
    await postgres.rows("TRUNCATE signal_log_2051")
    await log.identify()
    assert None not in (before, log.database)
    assert log.database != before


async def test_an_operators_exit_makes_its_year(postgres: PostgresAuthority) -> None:
    await postgres.rows("DROP TABLE signal_log_first")
    await postgres.rows(
        "INSERT INTO portfolio_state (portfolio, initial_capital, equity_high)"
        " VALUES ('main', 1, 1)"
    )
    await postgres.rows("INSERT INTO lanes (lane, portfolio, instrument) VALUES ('m', 'main', 'X')")
    await postgres.rows(
        "INSERT INTO portfolio_positions (position_id, portfolio, instrument, lane, slot, status,"
        " is_base_position, opened_at, lots, units_per_lot, point_value, margin_per_lot)"
        " VALUES ('p1', 'main', 'SIM001', 'm', 'Net', 'open', false, now(), 1, 1, 1, 0)"
    )
    pool = await asyncpg.create_pool(postgres.url, min_size=1, max_size=1)
    closing = await PostgresControls(pool).close_position(
        "p1", "over", Actor(name="ann", address=None)
    )
    await pool.close()
    assert isinstance(closing, Closing)
    (row,) = await postgres.rows(
        "SELECT id, signal_second = date_trunc('second', signal_time) AS fits FROM signal_log"
    )
    assert row == {"id": closing.signal_id, "fits": True}
