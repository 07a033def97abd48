"""Instances, settings, portfolios and history on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onefill.core.control.succession import Heir
from onefill.postgres.connecting import open_views
from onefill.postgres.control.heartbeat import PostgresInstances, Presence
from onefill.postgres.control.history import LeadershipHistory
from trading_support import TTL_MS, PostgresAuthority, holder, lead

A, B = holder("a"), holder("b")
STARTED = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
LEADING = Presence(
    state="ACTIVE",
    is_leader=True,
    version="1",
    started_at=STARTED,
    heir=Heir(instance="a"),
)
FOLLOWING = replace(LEADING, state="STANDBY", is_leader=False)


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """A fresh database with everything on it."""
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.mark.req("CTL-17")
async def test_instances_show_when_they_were_last_heard_and_since_when_they_lead(
    postgres: PostgresAuthority,
) -> None:
    instances = PostgresInstances(postgres.held(A))
    await instances.beat(A, LEADING)
    await instances.beat(B, FOLLOWING)
    first, other = await instances.all()
    assert (first["is_leader"], other["is_leader"]) == (True, False)
    assert other["leader_acquired_at"] is None
    await instances.beat(A, LEADING)
    again = (await instances.all())[0]
    assert again["leader_acquired_at"] == first["leader_acquired_at"]
    assert again["last_heartbeat"] > first["last_heartbeat"]
    await instances.beat(A, FOLLOWING)
    assert (await instances.all())[0]["leader_acquired_at"] is None


@pytest.mark.req("CTL-17")
async def test_an_instance_that_is_silent_is_stale_then_archived_then_back(
    postgres: PostgresAuthority,
) -> None:
    instances = PostgresInstances(postgres.held(A))
    await instances.beat(A, LEADING)
    await instances.beat(B, FOLLOWING)
    await postgres.rows(
        "UPDATE instance_metadata SET last_heartbeat = last_heartbeat - interval '2 hours'"
        " WHERE instance = 'a'"
    )
    assert [row["stale_s"] > 7_000 for row in await instances.all()] == [True, False]
    assert await instances.archive(3600) == ["a"]
    assert [row["instance"] for row in await instances.all()] == ["b"]
    await instances.beat(A, FOLLOWING)
    assert [row["instance"] for row in await instances.all()] == ["a", "b"]


@pytest.mark.req("CTL-18")
async def test_who_led_between_two_moments_is_one_question(postgres: PostgresAuthority) -> None:
    leases = postgres.leases(A)
    history = LeadershipHistory(postgres.held(A), postgres.around.clock)
    before = await postgres.trading(A).now()
    epoch = await lead(postgres, A)
    assert await leases.release("leader", epoch, A)
    assert await leases.acquire("leader", epoch, B, TTL_MS)
    await leases.close()
    after = await postgres.trading(A).now() + timedelta(minutes=1)
    reigns = await history.between("leader", before, after)
    assert [(row["instance"], row["released_at"] is None) for row in reigns] == [
        ("a", False),
        ("b", True),
    ]
    assert await history.between("leader", before - timedelta(hours=1), before) == []


async def test_views_have_a_pool_of_their_own(postgres: PostgresAuthority) -> None:
    pool = await open_views(postgres.connecting(A), 1, 3)
    assert (pool.get_min_size(), pool.get_max_size()) == (1, 3)
    assert await pool.fetchval("SHOW enable_seqscan") == "on"
    await pool.close()
