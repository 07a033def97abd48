"""Which takeovers count as wrong: of holders that lived, by themselves, within the window."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid5

import pytest

from onefill.core.ids import Epoch
from onefill.ports.lease import LEADER, Holder
from onefill.postgres.control.history import LeadershipHistory
from support import until
from trading_support import PostgresAuthority, holder

A, B = holder("a"), holder("b")


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """The authority on a fresh database."""
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


async def take_over(
    postgres: PostgresAuthority, epoch: Epoch, old: Holder, new: Holder, how: str
) -> Epoch:
    """The next epoch, of the new holder; `failover` waits until the short lease has run out."""
    store = postgres.leases(new)
    if how == "failover":

        async def taken() -> Epoch | None:
            return await store.acquire(LEADER, epoch, new, 1)

        granted = await until(taken)
    elif how == "forced":
        granted = await store.force(LEADER, epoch, new, 1)
    else:
        giver = postgres.leases(old)
        granted = await giver.transfer(LEADER, epoch, old, new, ttl_ms=1, reason=how)
        await giver.close()
    await store.close()
    assert granted is not None
    return granted


@pytest.mark.req("CTL-4")
async def test_only_takeovers_without_a_person_of_holders_that_lived_count(
    postgres: PostgresAuthority,
) -> None:
    history = LeadershipHistory(postgres.held(A), postgres.around.clock)
    store = postgres.leases(A)
    first = await store.acquire(LEADER, Epoch(0), A, 1)
    await store.close()
    assert first is not None
    epoch, leads, follows = first, A, B
    for how, lived in [
        ("failover", True),
        ("failover", False),
        ("forced", True),
        ("takeover", True),
        ("failover", True),
    ]:
        over, epoch = epoch, await take_over(postgres, epoch, leads, follows, how)
        if lived:
            history.survived(LEADER, over, leads, "fenced")
        leads, follows = follows, leads
    await history.written()
    assert await history.wrong_takeovers(LEADER, 3600) == 2
    await postgres.rows("UPDATE leadership_history SET released_at = released_at - interval '61 m'")
    assert await history.wrong_takeovers(LEADER, 3600) == 0
    await history.close()


@pytest.mark.req("CTL-4")
async def test_a_holder_that_takes_its_own_lease_again_was_not_taken_for_dead(
    postgres: PostgresAuthority,
) -> None:
    history = LeadershipHistory(postgres.held(A), postgres.around.clock)
    store = postgres.leases(A)
    first = await store.acquire(LEADER, Epoch(0), A, 1)
    assert first is not None
    await take_over(postgres, first, A, A, "failover")
    await store.close()
    history.survived(LEADER, first, A, "deadline")
    await history.written()
    assert await history.wrong_takeovers(LEADER, 3600) == 0
    restarted = Holder(instance="a", boot=uuid5(A.boot, "again"))
    await take_over(postgres, Epoch(first + 1), A, restarted, "failover")
    history.survived(LEADER, Epoch(first + 1), A, "deadline")
    await history.written()
    assert await history.wrong_takeovers(LEADER, 3600) == 1
    await history.close()
