"""Redis as the authority: what it must refuse, notice and remember. On real servers."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from onefill.core.errors import CommitUnknown
from onefill.core.ids import Epoch
from onefill.core.intent import IntentState
from onefill.core.orders.hearing import Unsettled
from onefill.core.orders.report import Unknown
from onefill.core.orders.ruling import Ruling, RulingRefusal, Verdict
from onefill.core.orders.settlement import Told, settle
from onefill.core.signal import SignalStatus
from onefill.ports.clock import RealClock
from onefill.ports.views import Actor, OrderFilter, PositionFilter, SignalFilter, Window
from onefill.redis.authority import Changes, RedisAuthority, Stale, StoreLost
from onefill.redis.connection import RedisConnection
from onefill.redis.control.instances import RedisInstances
from onefill.redis.control.lease import RedisLeaseStore
from onefill.redis.durability import UnfitRedis, require
from onefill.redis.memory import MemoryFile, NoMemory
from onefill.redis.operators.controls import RedisControls
from onefill.redis.recovery import RedisRecoveryStore
from onefill.redis.trading.store import RedisTradingStore, Terms
from onefill.redis.views.snapshot import RedisViews
from redis_authority import RedisAuthority as Everything
from redis_servers import RedisServer, redis_server, redis_server_of
from support import until
from trading_desk import Desk, situation_of
from trading_support import (
    CAPITAL,
    TTL_MS,
    claim_of,
    filled,
    holder,
    lead,
    log_all,
    read_payload,
)

__all__ = ["redis_server"]

A, B = holder("a"), holder("b")
BY = Actor(name="a person", address=None)


@pytest.fixture
async def everything(redis_server: RedisServer) -> AsyncIterator[Everything]:
    """All stores on an empty server of each kind."""
    redis = Everything(redis_server.url)
    yield redis
    await redis.close()


@pytest.fixture
async def desk(everything: Everything) -> Desk:
    """An instance that leads."""
    return Desk(everything, everything.trading(A), await lead(everything, A))


def write_of(name: str) -> Changes:
    """A commit that only writes."""
    changes = Changes()
    changes.write("SET", name, "written")
    return changes


class Slow(RedisAuthority):
    """Looks at once, and commits when it is told to."""

    def __init__(self, connection: RedisConnection) -> None:
        super().__init__(connection, NoMemory())
        self.may_commit = asyncio.Event()
        self.commits = 0

    async def commit(self, epoch: Epoch | None, changes: Changes) -> None:
        self.commits += 1
        await self.may_commit.wait()
        await super().commit(epoch, changes)


@pytest.mark.req("ORD-3", "CTL-1")
async def test_of_two_that_looked_at_the_same_moment_one_claims(
    desk: Desk, everything: Everything
) -> None:
    intent = await desk.order()
    now = await desk.store.now()
    slow = [Slow(everything.connection()) for _ in range(2)]
    terms = Terms(read=read_payload, initial_capital=CAPITAL)
    stores = [RedisTradingStore(one, me, terms) for one, me in zip(slow, (A, B), strict=True)]
    claims = [asyncio.create_task(s.claim(desk.epoch, [claim_of(intent, now)])) for s in stores]
    await until(lambda: [one.commits for one in slow] == [1, 1])
    for one in slow:
        one.may_commit.set()
    verdicts = [(await claim)[intent.client_order_id] for claim in claims]
    assert sorted(verdicts) == ["claimed", "taken"]


@pytest.mark.req("ORD-3")
async def test_an_attempt_with_other_bytes_is_not_ones_own(desk: Desk) -> None:
    intent = await desk.order()
    mine = claim_of(intent, await desk.store.now())
    assert await desk.store.claim(desk.epoch, [mine]) == {intent.client_order_id: "claimed"}
    assert await desk.store.claimed_by_me([mine]) == {intent.client_order_id}
    later = replace(mine, request_hash=b"\1" * 32)
    assert await desk.store.claimed_by_me([later]) == set()


async def test_a_commit_on_what_was_written_meanwhile_changes_nothing(
    everything: Everything,
) -> None:
    store = everything.store()
    changes = replace(write_of("one"), versions={"some": "7"})
    with pytest.raises(Stale):
        await store.commit(None, changes)
    assert await store.call("GET", "one") is None


@pytest.mark.req("CTL-8", "CTL-21")
async def test_an_emptied_redis_takes_no_commit_and_no_signal_and_grants_no_lease(
    everything: Everything, desk: Desk
) -> None:
    store = everything.store()
    leases = RedisLeaseStore(everything.connection(), store.verify)
    await store.commit(None, write_of("one"))
    intent = await desk.sent()
    await everything.lose_signals()
    with pytest.raises(StoreLost):
        await store.commit(None, write_of("two"))
    with pytest.raises(StoreLost):
        await log_all(desk.log, await desk.signal("SIM002", "2"))
    with pytest.raises(StoreLost):
        await desk.claim(intent)
    with pytest.raises(StoreLost):
        await leases.acquire("leader", Epoch(0), B, TTL_MS)
    assert await store.call("DBSIZE") == 0
    assert store.lost is not None


@pytest.mark.req("CTL-8", "CTL-21")
async def test_an_emptied_redis_that_others_fill_again_is_still_not_the_one_of_before(
    everything: Everything, desk: Desk
) -> None:
    store = everything.store()
    await store.commit(None, write_of("one"))
    await log_all(desk.log, await desk.signal("SIM001", "1"))
    await everything.lose_signals()
    stranger = everything.store()
    for turn in range(20):
        await stranger.commit(None, write_of(f"strange {turn}"))
    with pytest.raises(StoreLost):
        await store.commit(None, write_of("two"))
    with pytest.raises(StoreLost):
        await log_all(desk.log, await desk.signal("SIM002", "2"))
    assert await store.call("GET", "two") is None


@pytest.mark.req("CTL-8", "CTL-21")
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_redis_that_is_put_back_to_an_older_state_is_noticed_at_the_next_commit(
    redis_server: RedisServer, tmp_path: Path, restarted: bool
) -> None:
    connection = RedisConnection(redis_server.url, RealClock(), call_timeout_ms=5_000)
    memory = MemoryFile(tmp_path / "seen.json")
    store = RedisAuthority(connection, memory)
    await store.commit(None, write_of("one"))
    files, copy = redis_server.folder / "appendonlydir", tmp_path / "copy"
    shutil.copytree(files, copy)
    await store.commit(None, write_of("two"))
    await store.save()
    redis_server.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    redis_server.start()
    await redis_server.up()
    if restarted:
        store = RedisAuthority(connection, MemoryFile(tmp_path / "seen.json"))

    async def refused() -> bool:
        try:
            await store.commit(None, write_of("three"))
        except StoreLost:
            return True
        except CommitUnknown:  # it is only just back
            return False
        raise AssertionError("it took a commit")

    await until(refused)
    assert await store.call("MGET", "one", "two", "three") == [b"written", None, None]
    await connection.close()


@pytest.mark.req("CTL-21", "OPS-3")
async def test_nothing_that_was_acknowledged_is_lost_when_redis_is_killed(
    redis_server: RedisServer,
) -> None:
    redis = Everything(redis_server.url)
    desk = Desk(redis, redis.trading(A), await lead(redis, A))
    intent = await desk.sent()
    redis_server.kill()
    redis_server.start()
    await redis_server.up()

    async def seen() -> bool:
        try:
            found = await desk.store.nameless(9)
        except Exception:
            return False
        return [one.client_order_id for one in found] == [intent.client_order_id]

    await until(seen)
    await desk.store.settle([filled(intent)], settle)
    assert len((await situation_of(desk, intent.lane)).here) == 1
    await redis.close()


@pytest.mark.req("CTL-21")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendonly", "no"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "allkeys-lru"),
        ("no-appendfsync-on-rewrite", "yes"),
    ],
)
async def test_a_redis_that_may_forget_is_no_authority(
    redis_server: RedisServer, name: str, value: str
) -> None:
    connection = RedisConnection(redis_server.url, RealClock(), call_timeout_ms=5_000)
    await require(connection)
    client = redis_server.client()
    client.config_set(name, value)
    client.close()
    with pytest.raises(UnfitRedis) as refused:
        await require(connection)
    assert refused.value.facts == {f"redis {name}": value}
    assert name in refused.value.remedy
    await connection.close()


@pytest.mark.req("ORD-7", "SIG-22", "IF-1")
async def test_a_person_settles_what_is_quarantined_and_sees_it(
    desk: Desk, everything: Everything
) -> None:
    intent = await desk.sent()
    lost = Told(client_order_id=intent.client_order_id, attempt=1, word=Unknown(detail="cut"))
    await desk.store.settle([lost], settle)
    store, controls = everything.store(), RedisControls(everything.store())
    views = RedisViews(store, everything.leases(A), RedisInstances(store))
    assert (await views.standing()).in_doubt == 1
    ruling = Ruling(verdict=Verdict.NOT_PLACED, note="not in its book")
    name = intent.client_order_id
    assert await controls.resolve(name, ruling, BY) is RulingRefusal.NOT_QUARANTINED
    assert await controls.resolve("of000000000000000000", ruling, BY) is (
        RulingRefusal.UNKNOWN_ORDER
    )
    unsettled = replace(lost, word=Unsettled(detail="no look-up proves anything"))
    await desk.store.settle([unsettled], settle)
    assert [each.client_order_id for each in await desk.store.unacknowledged(9)] == [name]
    assert await controls.acknowledge(name, BY) is None
    assert await desk.store.unacknowledged(9) == []
    assert await controls.resolve(name, ruling, BY) is None
    story = await views.order(name)
    assert story is not None
    assert (story.order.state, len(story.attempts)) == ("NOT_PLACED", 1)
    actions = [row.action for row in (await views.audit(Window(limit=9))).items]
    assert actions == ["order.resolve", "order.acknowledge", "order.resolve", "order.resolve"]


@pytest.mark.req("IF-1", "SIG-14")
async def test_lists_go_page_by_page_newest_first(desk: Desk, everything: Everything) -> None:
    intents = [await desk.sent(f"SIM{n:03}", "o") for n in range(1, 6)]
    await desk.store.settle([filled(intent) for intent in intents], settle)
    store = everything.store()
    views = RedisViews(store, everything.leases(A), RedisInstances(store))
    numbers, cursor = [], None
    while cursor is not None or not numbers:
        page = await views.signals(SignalFilter(), Window(limit=2, cursor=cursor))
        numbers += [row.id for row in page.items]
        cursor = page.next_cursor
    assert numbers == [5, 4, 3, 2, 1]
    orders = await views.orders(OrderFilter(state=IntentState.FILLED), Window(limit=3))
    rest = await views.orders(OrderFilter(), Window(limit=3, cursor=orders.next_cursor))
    names = [row.client_order_id for row in (*orders.items, *rest.items)]
    assert names == [intent.client_order_id for intent in reversed(intents)]
    held = await views.positions(PositionFilter(instrument="SIM003"), Window())
    assert [row.legs[0].net for row in held.items] == [1]
    story = await views.signal(3)
    assert story is not None
    assert [step.status for step in story.timeline] == [
        SignalStatus.RECEIVED,
        SignalStatus.DECIDED,
        SignalStatus.EXECUTING,
        SignalStatus.EXECUTED,
    ]
    assert story.orders[0].fills[0].quantity == 1


@pytest.mark.req("OPS-1", "ORD-9")
async def test_a_book_that_does_not_add_up_is_told_and_a_sound_one_is_not(
    desk: Desk, everything: Everything
) -> None:
    intent = await desk.sent()
    recovery = RedisRecoveryStore(everything.store(), "a")
    working = await recovery.holdings("binance", "paper")
    assert (working.net, working.unsettled, working.recent) == ({}, {"SIM001"}, {"SIM001"})
    await desk.store.settle([filled(intent)], settle)
    assert await recovery.broken_promises() == []
    settled = await recovery.holdings("binance", "paper")
    assert (settled.net, settled.unsettled) == ({"SIM001": 1}, set())
    fills = f"{{onefill}}:intent:{intent.client_order_id}:fills"
    await everything.connection().call("DEL", fills)
    assert len(await recovery.broken_promises()) == 2


@pytest.mark.req("CTL-21")
async def test_a_cluster_is_no_authority(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("master")
    with redis_server_of("valkey", folder, "--cluster-enabled", "yes") as server:
        await server.up()
        connection = RedisConnection(server.url, RealClock(), call_timeout_ms=5_000)
        with pytest.raises(UnfitRedis) as refused:
            await require(connection)
        assert "redis cluster" in refused.value.facts
        await connection.close()
