"""What was missed is kept, raised once and ended once, whoever leads; fenced."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from onefill.core.defaults import INSTRUMENTS
from onefill.core.errors import Fenced
from onefill.core.ids import Epoch, Lane
from onefill.core.instrument import Rules
from onefill.core.watch import Miss, MissKind, Stand
from onefill.jobs.watch import Watch
from onefill.postgres.watch import PostgresWatch
from trading_support import TTL_MS, PostgresAuthority, holder, lead

AT = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
BAR = Miss(kind=MissKind.BAR, subject="GOLD_MINI", since=AT, says="1 bar")
HOLE = Miss(kind=MissKind.SEQUENCE, subject="main/GOLD_MINI", since=AT, says="2 never came")


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


def watch_of(postgres: PostgresAuthority, name: str = "a") -> PostgresWatch:
    return PostgresWatch(postgres.held(holder(name)), name)


async def successor(postgres: PostgresAuthority, old: Epoch) -> Epoch:
    await postgres.leases(holder("a")).release("leader", old, holder("a"))
    new = await postgres.leases(holder("b")).acquire("leader", old, holder("b"), TTL_MS)
    assert new is not None
    return new


@pytest.mark.req("SIG-21", "CTL-20")
async def test_a_miss_is_raised_once_whoever_leads_and_ends_when_it_comes_right(
    postgres: PostgresAuthority,
) -> None:
    epoch, store = await lead(postgres, holder("a")), watch_of(postgres)
    first = await store.keep(epoch, [BAR, HOLE])
    assert list(first.raised) == [BAR, HOLE]
    new = await successor(postgres, epoch)
    with pytest.raises(Fenced):
        await store.keep(epoch, [])
    store = watch_of(postgres, "b")
    again = await store.keep(new, [replace(BAR, says="2 bars")])
    assert (list(again.raised), list(again.over)) == ([], ["2 never came"])
    over = await store.keep(new, [])
    assert list(over.over) == ["2 bars"]
    back = await store.keep(new, [BAR])
    assert list(back.raised) == [BAR]
    rows = await postgres.rows(
        "SELECT kind, says, cleared_at IS NULL AS open FROM missed_signals ORDER BY id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("bar", "2 bars", False),
        ("sequence", "2 never came", False),
        ("bar", "1 bar", True),
    ]


async def log_signal(postgres: PostgresAuthority, n: int, portfolio: str, **fields: object) -> None:
    await postgres.rows(
        "INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument,"
        " signal_time, signal_second, payload, received_by, processing_status) VALUES"
        " (decode(lpad($1, 64, '0'), 'hex'), $2, 'portfolio', 'MARKET_DATA', $3, 'GOLD_MINI',"
        " $4, $4, $5, 'a', 'executed')",
        str(n),
        f"{portfolio}/GOLD_MINI",
        portfolio,
        AT,
        json.dumps(fields),
    )


@pytest.mark.req("SIG-21")
async def test_what_is_read_is_what_was_logged_and_replays_are_not_heard(
    postgres: PostgresAuthority,
) -> None:
    await postgres.rows(
        "INSERT INTO portfolio_state (portfolio, initial_capital, equity_high, time_basis)"
        " VALUES ('replay', 1, 1, 'signal')"
    )
    store = watch_of(postgres)
    await log_signal(postgres, 1, "replay", sequence=1)
    assert not (await store.heard(["GOLD_MINI"])).last
    await log_signal(postgres, 2, "main", sequence=7, market_position="long", strategy="x")
    await log_signal(postgres, 3, "main", price=1)
    heard = await store.heard(["GOLD_MINI", "COPPER"])
    assert list(heard.last) == ["GOLD_MINI"]
    assert heard.now - heard.last["GOLD_MINI"] < timedelta(minutes=1)
    (said,) = heard.said
    assert (said.lane, said.strategy, said.sequence) == (Lane("main/GOLD_MINI"), "x", 7)
    assert (said.stand, said.became) == (Stand.LONG, "executed")
    assert (dict(heard.held), set(heard.busy)) == ({}, set())


@pytest.mark.req("SIG-21")
def test_the_watch_is_off_without_a_bar_and_looks_four_times_a_bar_at_least(
    postgres: PostgresAuthority,
) -> None:
    def jobs(**bars: int) -> list[float]:
        changed = {
            name: replace(INSTRUMENTS[name], bar_minutes=Decimal(minutes))
            for name, minutes in bars.items()
        }
        rules = Rules(deployment="tst", instruments={**INSTRUMENTS, **changed})
        watch = Watch(watch_of(postgres), rules, every_s=15, grace_s=60)
        return [job.every_s for job in watch.jobs]

    assert jobs() == []
    assert jobs(GOLD_MINI=60) == [15]
    assert jobs(GOLD_MINI=60, COPPER=1) == [15]
    assert jobs(GOLD_MINI=60, COPPER="0.5") == [7.5]  # type: ignore[arg-type]
