"""A signal log of before its years: moved whole, and back; beside programs of before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import asyncpg
import pytest

from onefill.core.errors import Bug, StoreUnavailable
from onefill.core.ids import Lane
from onefill.core.signal import Signal, fingerprint, second_of
from onefill.flow.intake import Intake
from onefill.ports.clock import RealClock
from onefill.ports.hints import Inbox
from onefill.ports.intake import IntakeUnavailable, SignalUnloggable
from onefill.ports.metrics import Metrics
from onefill.ports.signal_log import Logged, NewSignal
from onefill.postgres.connection import Held
from onefill.postgres.migrate import SchemaTooNew, bundled, migrate, pending
from onefill.postgres.signal_log import PostgresSignalLog
from support import until
from trading_support import PostgresAuthority, buy, holder, new_signal, payload_of
from turns import turn

pytestmark = [
    pytest.mark.req("SIG-17", "IF-9"),
    pytest.mark.parametrize("authority", ["postgres-18", "postgres-15"], indirect=True),
]

NAME = "0051_signal_years.post.sql"
BEFORE = tuple(migration for migration in bundled() if migration.name < NAME)
ME = holder("a")
BAR = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
SIGNALS = 300
RESERVED = 40
"""Numbers that were drawn after the last row, for rows that were never committed."""

# As the program of before wrote it, to the letter.
OLD_APPEND = """
INSERT INTO signal_log (id, fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                        payload, received_by)
SELECT * FROM (
    SELECT nextval('signal_log_id_seq'), fingerprint, lane, engine, kind, portfolio, instrument,
           signal_time, payload, $9
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::timestamptz[], $8::text[])
        AS row (fingerprint, lane, engine, kind, portfolio, instrument, signal_time, payload)
) AS numbered ORDER BY fingerprint
ON CONFLICT (fingerprint) DO NOTHING RETURNING id, fingerprint"""


class OlderSignalLog(PostgresSignalLog):
    """Logs as the program of before did."""

    async def _insert(self, arrived: list[NewSignal]) -> dict[bytes, Logged]:  # type: ignore[override]
        rows = await self._appends.write(OLD_APPEND, *old_columns(arrived), "old")
        return {row["fingerprint"]: Logged(row["id"], True) for row in rows}


@pytest.fixture
async def postgres(authority: PostgresAuthority) -> PostgresAuthority:
    """A database at the schema before."""
    await authority.rows("DROP SCHEMA public CASCADE")
    await authority.rows("CREATE SCHEMA public")
    await migrate(authority.url, BEFORE)
    return authority


@pytest.fixture
async def older(postgres: PostgresAuthority) -> AsyncIterator[OlderSignalLog]:
    """The log of an instance that has not been replaced yet."""
    log = OlderSignalLog(postgres.held(holder("old")), postgres.held(holder("old")), "old")
    yield log
    await log.close()


def old_columns(signals: Sequence[NewSignal]) -> list[list[object]]:
    names = [
        "fingerprint",
        "lane",
        "engine",
        "kind",
        "portfolio",
        "instrument",
        "signal_time",
        "payload",
    ]
    return [[getattr(signal, name) for signal in signals] for name in names]


def signal(n: int) -> Signal:
    """Of a new instrument, day and fraction of a second each time; 2020 to 2028."""
    return buy(f"SIM{n % 7}", BAR + (n - 200) * timedelta(days=10, microseconds=7_654_321), f"{n}")


async def fill(postgres: PostgresAuthority, older: OlderSignalLog) -> None:
    """All kinds of rows: emptied ones, ended ones, counted ones, and gaps between their numbers."""
    await older.append([new_signal(signal(n)) for n in range(SIGNALS)])
    await postgres.rows("DELETE FROM signal_log WHERE id % 7 = 3")
    await postgres.rows(
        "UPDATE signal_log SET payload = '{}', processing_status = 'executed', ended_at = now(),"
        " decided_at = now(), reason = 'done', processed_by_instance = 'old' WHERE id % 2 = 0"
    )
    await postgres.rows(
        "UPDATE signal_log SET duplicates = id, last_duplicate_at = now(),"
        " last_duplicate_layer = 'memory' WHERE id % 5 = 0"
    )
    await postgres.rows("SELECT nextval('signal_log_id_seq') FROM generate_series(1, $1)", RESERVED)


async def rows_of(postgres: PostgresAuthority) -> list[dict[str, object]]:
    """All of them, without what the schema before did not know."""
    rows = await postgres.rows("SELECT * FROM signal_log ORDER BY id")
    return [{name: row[name] for name in row if name != "signal_second"} for row in rows]


async def go_back(postgres: PostgresAuthority) -> None:
    """As the head of the migration says."""
    file = resources.files("onefill.postgres") / "migrations" / NAME
    lines = file.read_text(encoding="utf-8").splitlines()
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("\n".join(line[4:] for line in lines if line.startswith("--> ")))
    await connection.close()


async def test_every_row_and_number_stays_and_each_old_signal_is_still_a_duplicate(
    postgres: PostgresAuthority, older: OlderSignalLog
) -> None:
    await fill(postgres, older)
    before = await rows_of(postgres)
    assert (await migrate(postgres.url))[0] == NAME
    assert await rows_of(postgres) == before
    for row in await postgres.rows("SELECT signal_time, signal_second FROM signal_log"):
        assert row["signal_second"] == second_of(row["signal_time"])  # type: ignore[arg-type]
    kept = {row["fingerprint"]: row["id"] for row in before}
    log = postgres.signals(ME)
    [new] = await log.append([new_signal(buy("SIM001", BAR, "new"))])
    assert new == Logged(SIGNALS + RESERVED + 1, True)
    old = [new_signal(signal(n)) for n in range(SIGNALS)]
    again = await log.append([new for new in old if new.fingerprint in kept])
    assert again == [Logged(kept[n.fingerprint], False) for n in old if n.fingerprint in kept]  # type: ignore[arg-type]
    assert (await rows_of(postgres))[:-1] == before


async def test_an_empty_log_begins_with_number_one(postgres: PostgresAuthority) -> None:
    await migrate(postgres.url)
    assert await postgres.signals(ME).append([new_signal(signal(1))]) == [Logged(1, True)]


async def test_whatever_zone_and_style_the_server_writes_times_in_years_begin_in_utc(
    postgres: PostgresAuthority,
) -> None:
    """IST is India's zone where it is written, and Israel's where it is read."""
    name = str((await postgres.rows("SELECT current_database() AS name"))[0]["name"])
    await postgres.rows(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    await postgres.rows(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
    await migrate(postgres.url)
    pooled = replace(postgres.connecting(ME), pooled=True)  # keeps nothing in its session
    log = PostgresSignalLog(Held(pooled, postgres.around), Held(pooled, postgres.around), "a")
    hours = [datetime(2051, 1, 1, hour, tzinfo=UTC) for hour in (23, 5, 1)]
    around = [datetime(2050, 12, 31, 23, tzinfo=UTC), datetime(2052, 1, 1, 1, tzinfo=UTC)]
    for at in (*hours, *around):
        [answer] = await log.append([new_signal(buy("SIM001", at, "o"))])
        assert isinstance(answer, Logged)
    await log.close()
    utc = await asyncpg.connect(
        postgres.url, server_settings={"timezone": "UTC", "datestyle": "ISO"}
    )
    bounds = await utc.fetch(
        "SELECT substring(pg_get_expr(relpartbound, oid) FROM 'TO .*') AS until"
        " FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    )
    await utc.close()
    assert len(bounds) == 4
    assert all(row["until"].endswith("-01-01 00:00:00+00')") for row in bounds)


async def test_the_way_back_and_forth_again_keeps_all(
    postgres: PostgresAuthority, older: OlderSignalLog
) -> None:
    await fill(postgres, older)
    definitions = "SELECT indexdef FROM pg_indexes WHERE tablename = 'signal_log' ORDER BY 1"
    before, indexes = await rows_of(postgres), await postgres.rows(definitions)
    await migrate(postgres.url)
    await go_back(postgres)
    assert (await rows_of(postgres), await postgres.rows(definitions)) == (before, indexes)
    assert await pending(postgres.url, BEFORE) == []
    assert await older.append([new_signal(signal(999))]) == [
        Logged(SIGNALS + RESERVED + 1, True),
    ]
    assert (await migrate(postgres.url))[0] == NAME
    assert (await rows_of(postgres))[:-1] == before
    both = [new_signal(signal(n)) for n in (1000, 999)]
    assert await postgres.signals(ME).append(both) == [
        Logged(SIGNALS + RESERVED + 2, True),
        Logged(SIGNALS + RESERVED + 1, False),
    ]


@pytest.mark.req("OPS-6", "SIG-2")
async def test_an_older_program_answers_with_a_retryable_error_and_logs_nothing(
    postgres: PostgresAuthority, older: OlderSignalLog
) -> None:
    """Neither a 4xx nor «can't be logged»: so its sender tries again, and its spool keeps it."""
    intake = Intake(signal_log=older, lanes=Inbox[Lane](), metrics=Metrics(), clock=RealClock())
    running = asyncio.create_task(intake.run())
    await turn()
    first = signal(1)
    await intake.take_in(first, payload_of(first))
    await migrate(postgres.url)
    for one in (signal(2), signal(3)):
        with pytest.raises(IntakeUnavailable) as raised:
            await intake.take_in(one, payload_of(one))
        assert not isinstance(raised.value, SignalUnloggable)
    assert [row["fingerprint"] for row in await rows_of(postgres)] == [fingerprint(first)]
    with pytest.raises(SchemaTooNew):
        await pending(postgres.url, BEFORE)
    running.cancel()


@pytest.mark.req("OPS-6")
async def test_an_older_program_that_waits_for_the_migration_logs_nothing_beside_it(
    postgres: PostgresAuthority, older: OlderSignalLog
) -> None:
    """It asked for the table of before, by a statement that it had prepared; what is there when
    its turn comes is another one."""
    await older.append([new_signal(signal(1))])

    async def wait(many: int) -> None:
        async def are_waiting() -> bool:
            (row,) = await postgres.rows(
                "SELECT count(*) AS n FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return row["n"] == many

        await until(are_waiting)

    reader = await asyncpg.connect(postgres.url)
    async with reader.transaction():
        await reader.execute("SELECT FROM signal_log")
        migrating = asyncio.create_task(migrate(postgres.url))
        await wait(1)
        late = asyncio.create_task(older.append([new_signal(signal(2))]))
        await wait(2)
    await reader.close()
    assert (await migrating)[0] == NAME
    with pytest.raises((Bug, StoreUnavailable)):
        await late
    assert [row["id"] for row in await rows_of(postgres)] == [1]
