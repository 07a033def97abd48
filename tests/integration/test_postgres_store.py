"""PostgreSQL as the authority, among enemies: pauses, cuts, crowds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import asyncpg
import pytest

from onefill.core.errors import CommitUnknown, Fenced, OnefillError, StoreUnavailable
from onefill.core.ids import Epoch, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.settlement import settle
from onefill.core.signal import SignalKind
from onefill.postgres.connection import Held
from severed import Cut, severed
from strain import within
from support import script, until
from trading_support import (
    TTL_MS,
    PostgresAuthority,
    base_entry,
    buy,
    claim_of,
    decide,
    decide_lanes,
    exits,
    filled,
    holder,
    lead,
    log_all,
)

A, B = holder("a"), holder("b")
BUSY_CONNECTIONS = 6
_T = TypeVar("_T")


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """A fresh database with everything on it."""
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.mark.req("CTL-6", "CTL-1")
async def test_a_takeover_beside_a_busy_holder_is_not_starved(postgres: PostgresAuthority) -> None:
    """Guarded transactions of the old holder overlap all the time; none of them is killed."""
    epoch = await lead(postgres, A)
    crowd = [postgres.held(holder("a", start=9)) for _ in range(BUSY_CONNECTIONS)]
    done = 0

    async def work(held: Held, seconds: float) -> None:
        nonlocal done
        while True:
            async with held.guarded(epoch) as transaction:
                await transaction.fetch("SELECT pg_sleep($1)", seconds)
            done += 1

    lengths = [0.05 + n * 0.007 for n in range(BUSY_CONNECTIONS)]
    tasks = [asyncio.create_task(work(*pair)) for pair in zip(crowd, lengths, strict=True)]
    await until(lambda: done > BUSY_CONNECTIONS)
    await postgres.leases(A).release("leader", epoch, A)
    with within(2):
        assert await postgres.leases(B).acquire("leader", epoch, B, TTL_MS) == epoch + 1
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [Fenced] * BUSY_CONNECTIONS


@pytest.mark.req("CTL-6")
@pytest.mark.parametrize("restarted", [True, False])
async def test_a_holder_stopped_inside_a_guarded_transaction_does_not_hold_up_its_successor(
    postgres: PostgresAuthority, restarted: bool
) -> None:
    """A restarted one may follow itself at once; the others when the lease has expired."""
    with script("tests/integration/stopped_decider.py", postgres.url) as stopped:
        assert stopped.stdout is not None
        epoch = Epoch(int(await asyncio.to_thread(stopped.stdout.readline)))
        await until(lambda: is_open_transaction(postgres))
        taker = holder("stopped", start=2) if restarted else B
        if not restarted:
            await postgres.rows("UPDATE leases SET lease_until = clock_timestamp()")
        with within(0.4):
            taken = await postgres.leases(taker).acquire("leader", epoch, taker, TTL_MS)
        assert taken == epoch + 1
        signals = await postgres.rows("SELECT processing_status AS status FROM signal_log")
        assert signals == [{"status": "received"}]


@pytest.mark.req("CTL-5", "CTL-10")
@pytest.mark.parametrize("until", ["clock_timestamp() + interval '1 hour'", "NULL"])
async def test_a_lease_that_seems_to_last_for_ever_keeps_nobody_away(
    postgres: PostgresAuthority, until: str
) -> None:
    """As where the server's clock was set back by an hour while its holder was paused, or where
    somebody wrote into the row by hand."""
    epoch = await lead(postgres, A)
    await postgres.rows(f"UPDATE leases SET lease_until = {until}")
    seen = await postgres.leases(B).read("leader")
    assert seen is not None
    assert seen.is_vacant
    assert await postgres.leases(B).acquire("leader", epoch, B, TTL_MS) == epoch + 1


async def is_open_transaction(postgres: PostgresAuthority) -> bool:
    """Whether somebody is idle inside a transaction."""
    return bool(
        await postgres.rows("SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'")
    )


@pytest.mark.req("CTL-6")
async def test_a_takeover_ends_the_sessions_of_the_old_boot_and_of_no_other(
    postgres: PostgresAuthority,
) -> None:
    epoch = await lead(postgres, A)
    old, other, again = postgres.held(A), postgres.held(B), postgres.held(holder("a", start=2))
    before = [await backend(held) for held in (old, other, again)]
    taker = holder("a", start=2)
    assert await postgres.leases(taker).acquire("leader", epoch, taker, TTL_MS)
    after = [await backend(held) for held in (old, other, again)]
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, True, True]


async def backend(held: Held) -> int:
    """The server process behind a connection; of a new one, where the old one was ended."""

    async def pid() -> int | None:
        try:
            (row,) = await held.read("SELECT pg_backend_pid() AS pid")
        except StoreUnavailable:
            return None
        found: int = row["pid"]
        return found

    return await until(pid)


@pytest.mark.req("CTL-18")
async def test_each_reign_is_in_history_even_of_those_who_died_before_they_could_write_it(
    postgres: PostgresAuthority,
) -> None:
    leases = postgres.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, 1)
    assert epoch is not None
    await leases.close()
    await postgres.rows("DELETE FROM leadership_history")
    others = postgres.leases(B)
    assert await others.acquire("leader", epoch, B, TTL_MS) == epoch + 1
    assert await others.release("leader", Epoch(epoch + 1), B)
    await others.close()
    reigns = await postgres.rows(
        "SELECT instance, end_reason, released_at >= became_at AS ended"
        " FROM leadership_history ORDER BY epoch"
    )
    assert reigns == [
        {"instance": "a", "end_reason": "failover", "ended": True},
        {"instance": "b", "end_reason": "release", "ended": True},
    ]


@pytest.mark.req("ORD-3", "IF-9")
@pytest.mark.parametrize(("cut", "is_mine"), [(Cut.BEFORE, False), (Cut.AFTER, True)])
async def test_a_claim_whose_commit_was_cut_off_is_read_again_rightly(
    postgres: PostgresAuthority, cut: Cut, is_mine: bool
) -> None:
    epoch = await lead(postgres, A)
    intent = await decided(postgres, epoch)
    async with severed(postgres.url) as line:
        through = PostgresAuthority(line.url)
        store = through.trading(A)
        claims = [claim_of(intent, await store.now())]
        line.cut = cut
        with pytest.raises(CommitUnknown):
            await store.claim(epoch, claims)
        mine = {intent.client_order_id} if is_mine else set()
        assert await store.claimed_by_me(claims) == mine
        assert await postgres.trading(B).claimed_by_me(claims) == set()
        verdicts = await store.claim(epoch, claims)
        assert verdicts == {intent.client_order_id: "taken" if is_mine else "claimed"}
        await through.close()


@pytest.mark.req("SIG-2", "SIG-10")
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_signal_whose_answer_was_cut_off_is_logged_once_by_its_resend(
    postgres: PostgresAuthority, cut: Cut
) -> None:
    async with severed(postgres.url) as line:
        line.needle = b"needle in the payload"
        through = PostgresAuthority(line.url)
        log = through.signals(A)
        signal = buy("SIM001", await postgres.trading(A).now(), "needle in the payload")
        line.cut = cut
        with pytest.raises(CommitUnknown):
            await log_all(log, signal)
        await log_all(log, signal)
        assert await postgres.rows("SELECT count(*) AS n FROM signal_log") == [{"n": 1}]
        await through.close()


@pytest.mark.req("ORD-2", "P-3")
async def test_crowds_on_the_same_lanes_never_deadlock(postgres: PostgresAuthority) -> None:
    epoch = await lead(postgres, A)
    names = [f"SIM{n:03}" for n in range(24)]
    crowd = [postgres.trading(holder(name)) for name in ("a", "b", "c")]
    lanes = [Lane(f"main/{name}") for name in names]
    chance = random.Random(8142)
    sent: list[OrderIntent] = []

    def mixed(items: Sequence[_T]) -> list[_T]:
        return chance.sample(items, len(items))

    async def trade(turn: int) -> list[OrderIntent]:
        """Claim this turn's orders while the last turn's are filled and the next are decided."""
        now = await crowd[0].now()
        logs = [postgres.signals(A), postgres.signals(B)]
        ids = await log_all(logs[0], *[buy(name, now, f"{turn}") for name in names])
        await asyncio.gather(
            *(log.count_duplicates(dict.fromkeys(mixed(ids), 1)) for log in logs),
            *(decide_lanes(store, epoch, mixed(lanes)) for store in crowd),
        )
        await decide_lanes(crowd[0], epoch, lanes)
        intents = list(await crowd[0].claimable(100))
        claims = [claim_of(intent, now) for intent in intents]
        words = [filled(intent) for intent in sent]
        await asyncio.gather(
            *(store.claim(epoch, mixed(claims)) for store in crowd),
            *(store.settle(mixed(words), settle) for store in crowd),
            crowd[0].decide(epoch, lanes, decide, exits),
            *(log.count_duplicates(dict.fromkeys(mixed(ids), 1)) for log in logs),
        )
        return intents

    for turn in range(13):
        sent = await trade(turn)
        assert len(sent) == len(names)
    assert await postgres.rows(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ) == [{"deadlocks": 0}]
    held = await postgres.rows("SELECT DISTINCT bought_quantity AS n FROM position_legs")
    assert held == [{"n": Decimal(12)}]


@pytest.mark.req("PF-5", "PF-6", "PF-20")
async def test_a_portfolio_s_sums_follow_its_positions_there_and_back(
    postgres: PostgresAuthority,
) -> None:
    epoch = await lead(postgres, A)
    store, log = postgres.trading(A), postgres.signals(A)
    entry = base_entry("BANK_NIFTY", await store.now(), "in")
    await log_all(log, entry)
    call, put = await decide_lanes(store, epoch, [entry.lane])
    lots = (await postgres.rows("SELECT lots FROM portfolio_positions"))[0]["lots"]
    assert isinstance(lots, int)
    assert lots > 0
    sums = "SELECT margin_used, total_risk_amount, realised_pnl, closed_equity FROM portfolio_state"
    (during,) = await postgres.rows(sums)
    assert during["margin_used"] == 270_000 * lots
    assert during["total_risk_amount"] == 350 * 30 * lots
    await fill(store, epoch, call, price=400)
    assert [i.client_order_id for i in await store.claimable(9)] == [put.client_order_id]
    await fill(store, epoch, put, price=300)
    assert await postgres.rows(
        "SELECT base_position_id = position_id AS same, last_pyramid_price AS price"
        " FROM pyramiding_state, portfolio_positions"
    ) == [{"same": True, "price": 52_000}]
    out = replace(entry, kind=SignalKind.EXIT, order_id="out", time=await store.now())
    await log_all(log, out)
    buy_back, sell = await decide_lanes(store, epoch, [entry.lane])
    await fill(store, epoch, buy_back, price=290)
    await fill(store, epoch, sell, price=420)
    profit = call.order.quantity * (420 - 400 + 300 - 290)
    (after,) = await postgres.rows(sums)
    assert after == {
        "margin_used": 0,
        "total_risk_amount": 0,
        "realised_pnl": profit,
        "closed_equity": 5_000_000 + profit,
    }


async def fill(store: object, epoch: Epoch, intent: OrderIntent, price: int) -> None:
    """Claim and fill one order."""
    now = await store.now()  # type: ignore[attr-defined]
    await store.claim(epoch, [claim_of(intent, now)])  # type: ignore[attr-defined]
    settled = await store.settle([filled(intent, price)], settle)  # type: ignore[attr-defined]
    assert IntentState.FILLED in {changed.state for changed in settled.intents}


async def decided(postgres: PostgresAuthority, epoch: Epoch) -> OrderIntent:
    """One order, ready to be claimed."""
    store = postgres.trading(A)
    signal = buy("SIM001", await store.now(), "o")
    await log_all(postgres.signals(A), signal)
    (intent,) = await decide_lanes(store, epoch, [signal.lane])
    return intent


@pytest.mark.req("IF-9")
async def test_a_broken_statement_leaves_the_connection_usable_and_a_broken_line_is_mended(
    postgres: PostgresAuthority,
) -> None:
    held = postgres.held(A)
    with pytest.raises(OnefillError):
        await held.read("SELECT no_such_column")
    before = await backend(held)
    await postgres.rows("SELECT pg_terminate_backend($1)", before)
    assert await backend(held) != before


async def test_a_cancelled_transaction_is_not_written_and_its_connection_not_used_again(
    postgres: PostgresAuthority,
) -> None:
    held = postgres.held(A)
    inside = asyncio.Event()

    async def hang() -> None:
        async with held.transaction() as transaction:
            await transaction.fetch(
                "INSERT INTO settings (key, value, changed_by) VALUES ('k', 'v', 'a test')"
            )
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await held.read("SELECT * FROM settings") == []


@pytest.mark.req("IF-9")
async def test_sessions_are_durable_named_and_bounded(postgres: PostgresAuthority) -> None:
    held = postgres.held(holder("an instance with a name much longer than usual"))
    shown = {}
    for name in ("application_name", "synchronous_commit", "timezone", "statement_timeout"):
        (row,) = await held.read(f"SHOW {name}")
        shown[name] = next(iter(row.values()))
    boot = holder("an instance with a name much longer than usual").boot.hex
    assert shown == {
        "application_name": f"onefill:an instance with a nam:{boot}",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "statement_timeout": "5s",
    }


async def test_an_idle_open_transaction_is_ended_by_the_server(database_url: str) -> None:
    connecting = replace(PostgresAuthority(database_url).connecting(A), idle_timeout_ms=100)
    connection = await connecting.connect()
    await connection.execute("BEGIN")
    await until(connection.is_closed)
    with pytest.raises(asyncpg.InterfaceError):
        await connection.execute("COMMIT")
