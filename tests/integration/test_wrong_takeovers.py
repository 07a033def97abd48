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
    history = LeadershipHistory(postgres.held(A), postgres.around.clock, None)
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
    history = LeadershipHistory(postgres.held(A), postgres.around.clock, None)
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


@pytest.mark.req("CTL-18")
async def test_a_reign_whose_end_nobody_lived_to_write_ends_where_the_next_began(
    postgres: PostgresAuthority,
) -> None:
    store = postgres.leases(A)
    first = await store.acquire(LEADER, Epoch(0), A, 1)
    await store.close()
    assert first is not None
    second = await take_over(postgres, first, A, B, "failover")
    # B dies before it could write anything of its own.
    await postgres.rows("DELETE FROM leadership_history WHERE epoch = $1", second)
    await postgres.rows("UPDATE leadership_history SET released_at = NULL, end_reason = NULL")
    await take_over(postgres, second, B, A, "failover")
    await postgres.rows("UPDATE leases SET acquired_at = acquired_at - interval '10 s'")
    history = LeadershipHistory(postgres.held(A), postgres.around.clock, None)
    assert await history.mend(LEADER) == 1
    assert await history.mend(LEADER) == 0
    await history.close()
    rows = await postgres.rows("SELECT * FROM leadership_history ORDER BY epoch")
    assert [row["epoch"] for row in rows] == [first, first + 1, first + 2]
    assert rows[0]["released_at"] == rows[1]["became_at"]
    assert rows[2]["released_at"] is None


@pytest.mark.req("CTL-18")
async def test_a_reign_of_which_nobody_lived_to_write_is_written_by_its_own_holder(
    postgres: PostgresAuthority,
) -> None:
    store = postgres.leases(A)
    first = await store.acquire(LEADER, Epoch(0), A, 1)
    await store.close()
    assert first is not None
    await take_over(postgres, first, A, B, "takeover")
    await postgres.rows("DELETE FROM leadership_history WHERE epoch > $1", first)
    await postgres.rows("UPDATE leadership_history SET released_at = NULL, end_reason = NULL")
    history = LeadershipHistory(postgres.held(B), postgres.around.clock, None)
    assert await history.mend(LEADER) == 0, "who gave it away is to write of it first"
    await postgres.rows("UPDATE leases SET acquired_at = acquired_at - interval '10 s'")
    assert await history.mend(LEADER) == 2
    await history.close()
    one, other = await postgres.rows("SELECT * FROM leadership_history ORDER BY epoch")
    assert (one["end_reason"], one["released_at"]) == ("takeover", other["became_at"])
    assert (other["instance"], other["epoch"]) == ("b", first + 1)
