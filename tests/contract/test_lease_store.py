"""The contract of ports.lease.LeaseStore, on every store that promises it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from lease_authority import KINDS, Authority, authority_of
from onefill.core.ids import Epoch
from support import until
from trading_support import TTL_MS, holder

A, B = holder("a"), holder("b")


@pytest.fixture(params=KINDS)
async def authority(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Authority]:
    """An empty store of each kind."""
    async with authority_of(request.param, request, tmp_path_factory.mktemp("leases")) as opened:
        yield opened


@pytest.mark.req("CTL-8", "Q-4")
async def test_the_first_epoch_of_an_empty_store_is_its_time_in_microseconds(
    authority: Authority,
) -> None:
    leases = authority.leases(A)
    assert await leases.read("leader") is None
    before = await authority.now()
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    after = await authority.now()
    assert epoch is not None
    assert before.timestamp() * 1e6 - 1 <= epoch <= after.timestamp() * 1e6 + 1


@pytest.mark.req("CTL-1", "CTL-15")
async def test_of_many_that_start_at_once_one_leads(authority: Authority) -> None:
    all_of_them = [holder(f"i{n}") for n in range(6)]
    stores = [authority.leases(me) for me in all_of_them]
    epochs = await asyncio.gather(
        *(
            store.acquire("leader", Epoch(0), me, TTL_MS)
            for store, me in zip(stores, all_of_them, strict=True)
        )
    )
    assert len([epoch for epoch in epochs if epoch is not None]) == 1


@pytest.mark.req("CTL-2")
async def test_a_live_holder_is_not_displaced(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    assert await authority.leases(B).acquire("leader", epoch, B, TTL_MS) is None
    seen = await leases.read("leader")
    assert seen is not None
    assert (seen.holder, seen.epoch, seen.barred) == (A, epoch, False)
    assert 0 < seen.remaining_ms <= TTL_MS


@pytest.mark.req("CTL-2", "CTL-5")
async def test_an_expired_lease_goes_to_the_next_with_a_higher_epoch(authority: Authority) -> None:
    leases, others = authority.leases(A), authority.leases(B)
    epoch = await leases.acquire("leader", Epoch(0), A, 1)
    assert epoch is not None

    async def taken() -> Epoch | None:
        return await others.acquire("leader", epoch, B, TTL_MS)

    assert await until(taken) == epoch + 1
    assert await leases.renew("leader", epoch, A, TTL_MS) is False
    assert await leases.release("leader", epoch, A) is False


@pytest.mark.req("CTL-2")
async def test_of_two_takers_of_one_epoch_one_wins(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    assert await leases.release("leader", epoch, A)
    takers = [holder(f"t{n}") for n in range(4)]
    got = await asyncio.gather(
        *(authority.leases(me).acquire("leader", epoch, me, TTL_MS) for me in takers)
    )
    assert sorted(e for e in got if e is not None) == [epoch + 1]


@pytest.mark.req("CTL-2")
async def test_release_keeps_the_epoch_and_names_nobody(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    assert await leases.release("leader", epoch, A)
    seen = await leases.read("leader")
    assert seen is not None
    assert (seen.epoch, seen.holder) == (epoch, None)
    assert await leases.release("leader", epoch, A) is False


@pytest.mark.req("CTL-6")
async def test_a_restarted_instance_follows_itself_at_once(authority: Authority) -> None:
    epoch = await authority.leases(A).acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    again = holder("a", start=2)
    assert await authority.leases(again).acquire("leader", epoch, again, TTL_MS) == epoch + 1


async def test_renewing_prolongs_and_another_boot_cannot(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, 1_000)
    assert epoch is not None
    assert await leases.renew("leader", epoch, A, TTL_MS)
    seen = await leases.read("leader")
    assert seen is not None
    assert seen.remaining_ms > 1_000
    assert await leases.renew("leader", epoch, holder("a", start=2), TTL_MS) is False


@pytest.mark.req("CTL-2", "CTL-11", "CTL-18")
async def test_a_transfer_leaves_no_vacancy_and_ends_the_old_epoch(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    assert (
        await leases.transfer("leader", epoch, A, B, ttl_ms=TTL_MS, reason="takeover") == epoch + 1
    )
    seen = await authority.leases(B).read("leader")
    assert seen is not None
    assert (seen.holder, seen.epoch, seen.is_vacant) == (B, epoch + 1, False)
    assert await leases.renew("leader", epoch, A, TTL_MS) is False
    again = await leases.transfer("leader", epoch, A, B, ttl_ms=TTL_MS, reason="takeover")
    assert again is None


@pytest.mark.req("CTL-2")
async def test_only_the_holder_transfers(authority: Authority) -> None:
    epoch = await authority.leases(A).acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    others = authority.leases(B)
    assert await others.transfer("leader", epoch, B, B, ttl_ms=TTL_MS, reason="takeover") is None


@pytest.mark.req("CTL-2", "CTL-13")
async def test_force_takes_a_live_lease_once_for_each_epoch(authority: Authority) -> None:
    leases = authority.leases(A)
    epoch = await leases.acquire("leader", Epoch(0), A, TTL_MS)
    assert epoch is not None
    takers = [holder(f"t{n}") for n in range(4)]
    got = await asyncio.gather(
        *(authority.leases(me).force("leader", epoch, me, TTL_MS) for me in takers)
    )
    assert sorted(e for e in got if e is not None) == [epoch + 1]
    assert await leases.renew("leader", epoch, A, TTL_MS) is False


@pytest.mark.req("CTL-18", "Q-4")
async def test_each_reign_is_in_the_history_though_all_died_who_made_or_ended_it(
    authority: Authority,
) -> None:
    a, b, c, d, e = [holder(name) for name in "abcde"]
    start = await authority.now()
    first = await authority.doomed_leases(a).acquire("leader", Epoch(0), a, 1)
    assert first is not None

    async def succeeded() -> Epoch | None:
        return await authority.doomed_leases(b).acquire("leader", first, b, TTL_MS)

    assert await until(succeeded) == first + 1
    given = authority.doomed_leases(b)
    second, third, fourth = (Epoch(first + n) for n in (1, 2, 3))
    assert await given.transfer("leader", second, b, c, ttl_ms=TTL_MS, reason="takeover") == third
    assert await authority.doomed_leases(d).force("leader", third, d, TTL_MS) == fourth
    assert await authority.doomed_leases(d).release("leader", fourth, d, "shutdown")
    assert await authority.leases(e).acquire("leader", fourth, e, TTL_MS) == fourth + 1
    history = authority.history(e)

    async def all_reigns() -> Sequence[Mapping[str, Any]] | None:
        end = await authority.now() + timedelta(minutes=1)
        reigns = await history.between("leader", start - timedelta(minutes=1), end)
        return reigns if len(reigns) == 5 else None

    found = await until(all_reigns)
    assert found is not None
    assert [(reign["instance"], reign["reason"], reign["end_reason"]) for reign in found] == [
        ("a", "election", "failover"),
        ("b", "failover", "takeover"),
        ("c", "takeover", "forced"),
        ("d", "forced", "shutdown"),
        ("e", "election", None),
    ]
    for one, after in itertools.pairwise(found[:4]):
        assert one["released_at"] == after["became_at"]
        assert after["epoch"] == one["epoch"] + 1
