"""PostgreSQL that lost commits: noticed on each new connection, and what follows in its rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from manual_clock import NOON
from onefill.core.control.authority import Landmark
from onefill.core.errors import Fenced
from onefill.core.ids import Epoch
from onefill.core.intent import IntentState
from onefill.disk.memory import DiskMemory
from onefill.ports.clock import RealClock
from onefill.ports.lease import LEADER
from onefill.postgres.authority import PostgresAuthority as Watch
from onefill.postgres.connection import Held
from onefill.postgres.control.history import LeadershipHistory
from support import until
from trading_desk import Desk
from trading_support import TTL_MS, PostgresAuthority, decide_lanes, holder, log_all

DOUBTFUL_MS = 700


class Instance:
    """One instance's memory, and its watch over the database."""

    def __init__(self, authority: PostgresAuthority, folder: Path, name: str) -> None:
        me = holder(name)
        unwatched = authority.connecting(me)
        self.memory = DiskMemory(folder / name, RealClock())
        self.history = LeadershipHistory(authority.held(me), RealClock())
        self.watch = Watch(
            unwatched,
            authority.held(me),
            self.memory,
            self.history,
            doubtful_ms=DOUBTFUL_MS,
            migrate=_no_need,
        )
        self.held = Held(replace(unwatched, inspect=self.watch.inspect), authority.around)

    async def connect(self) -> None:
        """Open a new connection, and ask something."""
        await self.held.close()
        await self.held.read("SELECT 1 AS one")

    def believe(self, **changes: object) -> None:
        """Let it remember something else than it saw."""
        landmark = self.memory.landmark
        assert landmark is not None
        self.memory.start_anew(replace(landmark, **changes))  # type: ignore[arg-type]


class World:
    """Two instances on one database; the first one leads."""

    def __init__(self, authority: PostgresAuthority, desk: Desk, folder: Path) -> None:
        self.authority = authority
        self.desk = desk
        self.a, self.b = (Instance(authority, folder, name) for name in "ab")

    async def lose(self, *instances: Instance) -> None:
        """The database is not as far any more as these remember; each connects anew."""
        for one in instances:
            await one.connect()
        for one in instances:
            assert one.memory.landmark is not None
            one.believe(position=one.memory.landmark.position + 1_000_000_000)
        await asyncio.gather(*(one.connect() for one in instances))

    async def losses(self) -> list[dict[str, object]]:
        return await self.authority.rows("SELECT * FROM authority_losses ORDER BY id")

    async def states(self) -> dict[str, str]:
        rows = await self.authority.rows("SELECT client_order_id, state FROM order_intents")
        return {str(row["client_order_id"]): str(row["state"]) for row in rows}

    async def leads(self) -> Epoch:
        """Take the free lease."""
        leases = self.authority.leases(holder("a"))
        lease = await leases.read(LEADER)
        assert lease is not None
        epoch = await leases.acquire(LEADER, lease.epoch, holder("a"), TTL_MS)
        assert epoch is not None
        self.desk.epoch = epoch
        return epoch


async def _no_need() -> None:
    """The tables are there."""


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    authority = PostgresAuthority(database_url)
    epoch = await authority.leases(holder("a")).acquire(LEADER, Epoch(0), holder("a"), TTL_MS)
    assert epoch is not None
    world = World(authority, Desk(authority, authority.trading(holder("a")), epoch), tmp_path)
    yield world
    for one in (world.a, world.b):
        await one.held.close()
        await one.watch.close()
        await one.history.close()
    await authority.close()


@pytest.mark.req("CTL-8")
async def test_a_database_that_lost_nothing_is_remembered_and_left_alone(world: World) -> None:
    for _ in range(3):
        await world.a.connect()
        assert await world.a.watch.look() is None
    landmark = world.a.memory.landmark
    assert landmark is not None
    assert landmark.epoch == world.desk.epoch
    assert await world.losses() == []


@pytest.mark.req("CTL-8", "CTL-1")
async def test_a_loss_ends_the_epoch_and_no_epoch_is_given_out_twice(world: World) -> None:
    seen = Epoch(world.desk.epoch + 1_000)
    await world.a.connect()
    world.a.believe(epoch=seen)
    await world.a.connect()
    (loss,) = await world.losses()
    assert (loss["kind"], loss["noticed_by"], loss["ended_at"]) == ("lower_epoch", "a", None)
    with pytest.raises(Fenced):
        await world.a.watch.is_quiet(world.desk.epoch)
    assert await world.leads() == seen + 2
    await world.a.history.written()
    (reign,) = await world.authority.rows("SELECT end_reason FROM leadership_history LIMIT 1")
    assert reign["end_reason"] == "authority_lost"


@pytest.mark.req("CTL-8")
async def test_an_empty_lease_table_begins_above_what_was_seen_even_if_clocks_went_back(
    world: World,
) -> None:
    await world.a.connect()
    seen = Epoch(10**17)
    world.a.believe(epoch=seen)
    await world.authority.rows("DELETE FROM leases")
    await world.a.connect()
    (loss,) = await world.losses()
    assert loss["kind"] == "empty"
    assert await world.leads() > seen


@pytest.mark.req("CTL-8")
async def test_two_who_notice_at_once_do_what_follows_once(world: World) -> None:
    await world.lose(world.a, world.b)
    assert len(await world.losses()) == 1
    await world.a.connect()
    await world.b.connect()
    assert len(await world.losses()) == 1


@pytest.mark.req("CTL-8", "ORD-7")
async def test_what_was_unsent_or_unanswered_is_in_doubt_and_nothing_is_claimed(
    world: World,
) -> None:
    unsent = await world.desk.order("SIM001", "unsent")
    sent = await world.desk.sent("SIM002", "sent")
    await world.lose(world.a)
    assert set((await world.states()).values()) == {"IN_DOUBT"}
    await world.leads()
    assert await world.desk.claim(unsent) == ["taken"]
    rows = await world.authority.rows(
        "SELECT i.signed_at IS NULL AS is_unsigned, i.expires_at >= l.doubtful_until AS waits "
        "FROM order_intents i, authority_losses l WHERE i.client_order_id = $1",
        unsent.client_order_id,
    )
    assert rows == [{"is_unsigned": True, "waits": True}]
    (kept,) = await world.authority.rows(
        "SELECT signed_at FROM order_intents WHERE client_order_id = $1", sent.client_order_id
    )
    assert kept["signed_at"] is not None


@pytest.mark.req("CTL-8")
async def test_an_order_that_the_broker_never_had_is_sent_after_safe_and_not_before(
    world: World,
) -> None:
    unsent = await world.desk.order("SIM001", "unsent")
    await world.lose(world.a)
    epoch = await world.leads()
    await world.authority.rows("UPDATE order_intents SET state = 'NEW'")  # looked up, and absent
    assert await world.desk.claim(unsent) == ["waiting"]
    assert await world.a.watch.end(epoch)
    assert await world.desk.claim(unsent) == ["claimed"]


@pytest.mark.req("CTL-8")
async def test_in_safe_old_signals_are_decided_into_doubt_and_new_ones_wait(world: World) -> None:
    old = await world.desk.signal("SIM001", "old", age_s=5)
    await log_all(world.desk.log, old)
    await world.lose(world.a)
    epoch = await world.leads()
    late = await world.desk.signal("SIM002", "late copy", age_s=5)
    new = replace(await world.desk.signal("SIM003", "new"), time=await _soon(world))
    await log_all(world.desk.log, late, new)
    for signal in (old, late, new):
        await decide_lanes(world.desk.store, epoch, [signal.lane])
    rows = await world.authority.rows("SELECT lane, state FROM order_intents ORDER BY lane")
    assert [(row["lane"], row["state"]) for row in rows] == [
        ("main/SIM001", "IN_DOUBT"),
        ("main/SIM002", "IN_DOUBT"),
    ]


@pytest.mark.req("CTL-8")
async def test_after_safe_a_repeated_old_signal_is_still_looked_up_before_it_is_sent(
    world: World,
) -> None:
    await world.lose(world.a)
    epoch = await world.leads()
    assert await world.a.watch.is_quiet(epoch)
    assert await world.a.watch.end(epoch)
    late = await world.desk.signal("SIM001", "late copy", age_s=5)
    new = replace(await world.desk.signal("SIM002", "new"), time=await _soon(world))
    await log_all(world.desk.log, late, new)
    assert await decide_lanes(world.desk.store, epoch, [late.lane]) == ()
    assert list((await world.states()).values()) == ["IN_DOUBT"]
    (fresh,) = await decide_lanes(world.desk.store, epoch, [new.lane])
    assert fresh.state is IntentState.NEW
    assert await world.desk.claim(fresh) == ["claimed"]


@pytest.mark.req("CTL-8")
async def test_it_is_not_over_while_an_order_is_in_doubt_or_an_old_signal_undecided(
    world: World,
) -> None:
    await world.desk.order("SIM001", "unsent")
    await world.lose(world.a)
    epoch = await world.leads()
    assert not await world.a.watch.is_quiet(epoch)
    await world.authority.rows("UPDATE order_intents SET state = 'QUARANTINED'")
    assert await world.a.watch.is_quiet(epoch)
    await log_all(world.desk.log, await world.desk.signal("SIM002", "late copy", age_s=5))
    assert not await world.a.watch.end(epoch)


@pytest.mark.req("CTL-8")
async def test_what_was_decided_by_one_who_had_not_heard_is_looked_up_as_well(
    world: World,
) -> None:
    await world.lose(world.a)
    epoch = await world.leads()
    intent = await _decided_unawares(world)
    assert (await world.states())[intent] == "NEW"
    assert not await world.a.watch.end(epoch)
    assert (await world.states())[intent] == "IN_DOUBT"


@pytest.mark.req("CTL-7", "CTL-8")
async def test_a_witness_that_is_ahead_ends_the_epoch_once(world: World) -> None:
    ahead = Epoch(world.desk.epoch + 5)
    await world.a.connect()
    await asyncio.gather(world.a.watch.witness_ahead(ahead), world.b.watch.witness_ahead(ahead))
    (loss,) = await world.losses()
    assert loss["kind"] == "witness_ahead"
    assert await world.leads() > ahead


@pytest.mark.req("CTL-8")
async def test_a_memory_of_another_database_is_told(world: World) -> None:
    foreign = Landmark(identity="another", position=1, epoch=Epoch(3), at=NOON)
    world.a.memory.start_anew(foreign)
    await world.a.connect()
    seen = await until(world.a.watch.look)
    assert seen is not None
    assert seen.kind == "other_identity"


async def _soon(world: World) -> datetime:
    return await world.desk.store.now() + timedelta(seconds=30)


async def _decided_unawares(world: World) -> str:
    """An order that was written as if there had been no loss."""
    late = await world.desk.signal("SIM001", "late copy", age_s=5)
    await log_all(world.desk.log, late)
    await world.authority.rows("UPDATE authority_losses SET noticed_at = '1970-01-01'")
    await world.authority.rows("UPDATE authority_losses SET ended_at = now()")
    (intent,) = await decide_lanes(world.desk.store, world.desk.epoch, [late.lane])
    await world.authority.rows(
        "UPDATE authority_losses SET ended_at = NULL, noticed_at = clock_timestamp()"
    )
    return intent.client_order_id
