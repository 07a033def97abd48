"""The elector's loop on a store in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
import uvloop

from memory_leases import MemoryLeaseStore
from onefill.core.control.lease import LeaseTiming
from onefill.core.control.succession import Heir
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.lead.elector import Elector
from onefill.ports.clock import RealClock
from onefill.ports.lease import LEADER, Holder
from onefill.ports.patience import answered
from onefill.ports.peers import Peer
from onefill.ports.vigil import NoVigil
from standstill import answered_in_a_socket
from support import until
from turns import turn

TIMING = LeaseTiming(ttl_ms=200_000, renew_every_ms=20, call_timeout_ms=100, give_up_ms=100_000)
"""The lease does not run out by itself, however slow the machine is."""
SHORT = replace(TIMING, ttl_ms=400, give_up_ms=300)


@dataclass(slots=True)
class Diary:
    """What an elector told."""

    epochs: list[Epoch] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    renewals: int = 0
    failures: int = 0
    fence: Callable[[], None] = lambda: None
    elector: Elector | None = None

    def started(self, epoch: Epoch, reason: str, suspected_ms: float | None) -> None:
        self.epochs.append(epoch)

    def stopped(self, epoch: Epoch, reason: str) -> None:
        self.ends.append(reason)

    def synced(self, latency_ms: float, *, is_good: bool) -> None:
        self.failures += not is_good

    def renewed(self, epoch: Epoch) -> None:
        self.renewals += 1


async def nobody() -> Sequence[Peer]:
    return ()


@asynccontextmanager
async def elector(
    store: MemoryLeaseStore, boot: int, timing: LeaseTiming = TIMING
) -> AsyncIterator[Diary]:
    """A running elector of the instance `prod`; `fence` tells it of a refused write."""
    diary = Diary()
    running = Elector(
        store=store,
        me=Holder(instance="prod", boot=UUID(int=boot)),
        heir=Heir(instance="prod", preferred=True),
        timing=timing,
        clock=RealClock(),
        vigil=NoVigil(),
        others=nobody,
        watcher=diary,
    )
    diary.fence, diary.elector = running.fenced, running
    task = asyncio.create_task(running.run())
    yield diary
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.req("CTL-2")
async def test_a_restarted_instance_takes_over_from_its_own_earlier_boot_at_once() -> None:
    store = MemoryLeaseStore(RealClock())
    async with elector(store, 1) as first:
        await until(lambda: first.epochs)
        async with elector(store, 2) as second:
            await until(lambda: second.epochs)
            assert second.epochs[0] == first.epochs[0] + 1


@pytest.mark.req("CTL-2", "CTL-12")
async def test_two_processes_of_one_name_do_not_take_the_lease_from_each_other_for_ever() -> None:
    store = MemoryLeaseStore(RealClock())
    async with elector(store, 1) as first, elector(store, 2) as second:
        await until(lambda: first.epochs and second.epochs)
        before = first.renewals + second.renewals
        await until(lambda: first.renewals + second.renewals > before + 20)
        assert len(first.epochs) + len(second.epochs) == 2


@pytest.mark.req("CTL-6")
async def test_a_lease_that_a_dead_taker_has_barred_is_taken_anew_by_its_own_holder() -> None:
    store = MemoryLeaseStore(RealClock())
    async with elector(store, 1, SHORT) as holder:
        await until(lambda: holder.epochs)
        store.bar(LEADER)
        holder.fence()
        await until(lambda: len(holder.epochs) > 1)
        assert holder.epochs[1] == holder.epochs[0] + 1


@pytest.mark.req("CTL-14")
async def test_who_released_and_led_again_since_takes_what_nobody_holds() -> None:
    """As after an authority loss, which leaves nobody: else nobody might lead for ever."""
    store, me = MemoryLeaseStore(RealClock()), Holder(instance="prod", boot=UUID(int=1))
    other = Holder(instance="dev", boot=UUID(int=2))
    async with elector(store, 1) as prod:
        await until(lambda: prod.epochs)
        assert prod.elector is not None
        prod.elector.heir = replace(prod.elector.heir, has_released=True)
        given = await prod.elector.hand_over(other, "release")
        assert given is not None
        assert await store.transfer(LEADER, given, other, me, ttl_ms=400, reason="release")
        await until(lambda: len(prod.epochs) == 2)
        assert await store.release(LEADER, prod.epochs[1], me)
        await until(lambda: len(prod.epochs) == 3)


class SlowToRefuse(MemoryLeaseStore):
    """Its acquisition waits for the test, and is refused: somebody was faster."""

    def __init__(self, clock: RealClock) -> None:
        super().__init__(clock)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        self.asked.set()
        await self.go_on.wait()
        return None


@pytest.mark.req("CTL-11", "CTL-13", "P-5")
async def test_a_wish_to_look_is_not_lost_while_the_store_is_being_asked() -> None:
    """As where a takeover by force ends the old holder's session: its death is noticed too."""
    store, me = SlowToRefuse(RealClock()), Holder(instance="prod", boot=UUID(int=1))
    patient = replace(TIMING, renew_every_ms=60_000)
    async with elector(store, 1, patient) as prod:
        await store.asked.wait()
        assert await MemoryLeaseStore.acquire(store, LEADER, Epoch(0), me, 200_000)
        assert prod.elector is not None
        prod.elector.look_now()
        store.go_on.set()
        await until(lambda: prod.epochs)


class BesideAStall(MemoryLeaseStore):
    """Its first renewal is answered at once, into a socket, while the loop stands still."""

    def __init__(self, clock: RealClock) -> None:
        super().__init__(clock)
        self.stalls = 1

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        answer = await super().renew(resource, epoch, holder, ttl_ms)
        if self.stalls:
            self.stalls -= 1
            await answered_in_a_socket(stall_s=1.5 * TIMING.call_timeout_ms / 1000)
        return answer


@pytest.mark.req("CTL-3", "CTL-4")
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_lies_in_the_socket_is_not_lost_to_a_stall_of_our_own_loop(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    run(_renew_beside_a_stall())


async def _renew_beside_a_stall() -> None:
    store = BesideAStall(RealClock())
    async with elector(store, 1) as prod:
        await until(lambda: prod.epochs and not store.stalls)
        await until(lambda: prod.renewals > 2)
        assert prod.failures == 0


@pytest.mark.req("CTL-3")
async def test_a_store_that_is_silent_is_given_up_and_lets_go_before_it_is_asked_again() -> None:
    events: list[str] = []

    async def silent() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await turn()
            events.append("let go")

    with pytest.raises(StoreUnavailable):
        await answered(silent(), 0.01)
    events.append("asked again")
    assert events == ["let go", "asked again"]


async def test_who_is_cancelled_while_waiting_takes_the_question_back() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def silent() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(answered(silent(), 60))
    await asked.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert ended.is_set()


async def test_a_question_that_fails_as_its_asker_is_cancelled_is_heard() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(answered(asked, 60))
    await turn()
    asked.set_exception(StoreUnavailable("the connection is lost"))
    waiting.cancel()
    await asyncio.wait({waiting})
    del asked, waiting
    gc.collect()
    assert complaints == []
