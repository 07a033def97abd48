"""What instances tell each other through Redis as the authority: rates, lives, requests, reigns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from onefill.core.control.succession import Heir
from onefill.core.orders.rates import RateWindow, Room, Urgency
from onefill.core.orders.report import NotSent
from onefill.core.orders.settlement import Told, settle
from onefill.ports.lease import LEADER
from onefill.ports.peers import Presence
from onefill.redis.control.history import RedisHistory
from onefill.redis.control.instances import RedisInstances
from onefill.redis.trading.rates import RedisRates
from redis_authority import RedisAuthority as Everything
from redis_servers import RedisServer, redis_server
from trading_desk import Desk
from trading_support import TTL_MS, claim_of, filled, holder, lead

__all__ = ["redis_server"]

A, B = holder("a"), holder("b")
ACCOUNT = "binance/paper"
TEN_IN_A_MINUTE = (RateWindow(most=10, window_ms=60_000),)


@pytest.fixture
async def everything(redis_server: RedisServer) -> AsyncIterator[Everything]:
    """All stores on an empty server of each kind."""
    redis = Everything(redis_server.url)
    yield redis
    await redis.close()


@pytest.mark.req("ORD-11")
async def test_attempts_are_the_count_of_all_instances_and_what_was_not_sent_is_none(
    everything: Everything,
) -> None:
    desk = Desk(everything, everything.trading(A), await lead(everything, A))
    intents = [await desk.order(f"SIM{n:03}", "o") for n in range(1, 12)]
    now = await desk.store.now()
    claims = [
        replace(claim_of(i, now), account=ACCOUNT, order_rates=TEN_IN_A_MINUTE) for i in intents
    ]
    mine = await desk.store.claim(desk.epoch, claims[:5])
    theirs = await everything.trading(B).claim(desk.epoch, claims[5:])
    verdicts = [(mine | theirs)[intent.client_order_id] for intent in intents]  # type: ignore[operator]
    assert verdicts == ["claimed"] * 9 + ["throttled"] * 2
    rates = RedisRates(everything.store())
    assert await rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=0, exits=1)
    unsent = NotSent(detail="too late")
    words = [Told(client_order_id=i.client_order_id, attempt=1, word=unsent) for i in intents[:2]]
    await desk.store.settle([*words, filled(intents[2])], settle)
    assert await rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=2, exits=3)
    await rates.hold(ACCOUNT, 60_000, "the broker said so")
    assert await rates.room(ACCOUNT, TEN_IN_A_MINUTE) == Room(entries=0, exits=0)
    assert await rates.grant(ACCOUNT, TEN_IN_A_MINUTE, 1, Urgency.FIRST) == 0


@pytest.mark.req("ORD-11")
async def test_no_more_weight_is_granted_than_the_broker_takes(everything: Everything) -> None:
    window = (RateWindow(most=100, window_ms=60_000),)
    stores = [RedisRates(everything.store()) for _ in range(2)]
    granted = [await stores[turn % 2].grant(ACCOUNT, window, 30, Urgency.FIRST) for turn in (0, 1)]
    assert granted == [30, 30]
    assert await stores[0].grant(ACCOUNT, window, 30, Urgency.LATER) == 0
    assert await stores[1].grant(ACCOUNT, window, 30, Urgency.FIRST) == 30
    assert await stores[0].grant(ACCOUNT, window, 1, Urgency.FIRST) == 0


@pytest.mark.req("CTL-4", "CTL-14", "CTL-17")
async def test_instances_are_seen_until_they_leave_or_fall_silent(everything: Everything) -> None:
    instances, now = RedisInstances(everything.store()), await everything.now()
    heir = Heir(instance="b", preferred=True, automatic=False)
    presence = Presence(
        state="STANDBY", is_leader=False, version="1", started_at=now, port=7, heir=heir
    )
    await instances.beat(B, presence)
    await instances.beat(A, replace(presence, heir=replace(heir, instance="a"), executes=False))
    (peer,) = await instances.others(A, 30)
    assert (peer.holder, peer.heir) == (B, heir)
    assert await instances.others(B, 30) == []
    assert await instances.others(A, 0) == []
    await instances.leave(holder("b", start=2))
    assert len(await instances.others(A, 30)) == 1
    await instances.leave(B)
    assert await instances.others(A, 30) == []
    assert await instances.archive(3_600) == []
    assert await instances.archive(0) == ["a", "b"]


@pytest.mark.req("CTL-5", "CTL-10")
async def test_a_lease_that_seems_to_last_for_ever_keeps_nobody_away(
    everything: Everything,
) -> None:
    """As where the server's clock was set back by an hour while its holder was paused."""
    epoch = await lead(everything, A)
    hour_ahead = int((await everything.now() + timedelta(hours=1)).timestamp() * 1_000_000)
    await everything.store().call("HSET", f"ginie:lease:{LEADER}", "until", hour_ahead)
    seen = await everything.leases(B).read(LEADER)
    assert seen is not None
    assert seen.is_vacant
    assert await everything.leases(B).acquire(LEADER, epoch, B, TTL_MS) == epoch + 1


@pytest.mark.req("CTL-18", "CTL-4")
async def test_each_reign_is_kept_with_its_end_and_wrong_takeovers_count(
    everything: Everything,
) -> None:
    store, leases = everything.store(), everything.leases(A)
    history = RedisHistory(store, RedisInstances(store))
    before = await everything.now()
    first = await lead(everything, A)
    second = await leases.force(LEADER, first, B, 1)
    assert second is not None

    third = None
    while third is None:
        third = await leases.acquire(LEADER, second, A, TTL_MS)
    assert await leases.release(LEADER, third, A)
    after = await everything.now() + timedelta(seconds=1)
    reigns = await history.between(LEADER, before, after)
    assert [(r["instance"], r["reason"], r["end_reason"]) for r in reigns] == [
        ("a", "election", "forced"),
        ("b", "forced", "failover"),
        ("a", "failover", "release"),
    ]
    assert await history.wrong_takeovers(LEADER, 3_600) == 0
    await history.tell_survived(LEADER, second, B, "deadline")
    assert await history.wrong_takeovers(LEADER, 3_600) == 1
    told = await history.between(LEADER, before, after)
    assert [reign["end_reason"] for reign in told] == ["forced", "deadline", "release"]
    assert await history.between(LEADER, before - timedelta(hours=1), before) == []
