"""A claim that was begun goes to its end, whoever leads by then; and none is begun after that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from onefill.core.errors import CommitUnknown
from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.settlement import Told
from onefill.flow.executor import Executor
from onefill.ports.broker import Broker, Prepared
from onefill.ports.clock import RealClock
from onefill.ports.trading import Claim, TradingStore
from support import until
from turns import settle
from unit.flow.test_resolver import PLACED, ClassA, in_doubt


class SlowStore:
    """Its claims commit at once; the answer comes when the test lets it."""

    def __init__(self) -> None:
        self.committed: list[ClientOrderId] = []
        self.may_answer = asyncio.Event()

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        return ()

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        names = [claim.client_order_id for claim in claims]
        self.committed += names
        await self.may_answer.wait()
        return dict.fromkeys(names, "claimed")


class Venue(ClassA):
    """Keeps what reached it."""

    class capabilities(ClassA.capabilities):  # noqa: N801  a port's attribute
        order_rates = ()

    def __init__(self) -> None:
        super().__init__(PLACED)
        self.sent: list[ClientOrderId] = []
        self.prepared = 0

    async def prepare(self, intent: OrderIntent) -> Prepared:
        self.prepared += 1
        return await super().prepare(intent)

    async def send(self, prepared: Prepared) -> object:  # type: ignore[override]
        self.sent.append(prepared.intent.client_order_id)
        return await super().send(prepared)


class StaleStore(SlowStore):
    """Its sweep shows for ever what it read before the claim; each second commit is of unknown
    outcome, and any attempt of this process counts as its own."""

    def __init__(self, intent: OrderIntent) -> None:
        super().__init__()
        self.stale: list[OrderIntent] = [intent]
        self.asked = 0

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        return self.stale

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        if self.committed:
            raise CommitUnknown
        self.may_answer.set()
        return await super().claim(epoch, claims)

    async def claimed_by_me(self, claims: Sequence[Claim]) -> set[ClientOrderId]:
        self.asked += 1
        return {claim.client_order_id for claim in claims}


def executor_of(store: SlowStore, venue: Venue, told: list[Told]) -> Executor:
    return Executor(
        store=cast(TradingStore, store),
        broker_of=lambda intent: cast(Broker, venue),
        tell=told.append,
        clock=RealClock(),
    )


def new(name: str) -> OrderIntent:
    return replace(in_doubt(name), state=IntentState.NEW, attempt=0)


@pytest.mark.req("CTL-2", "CTL-11", "ORD-3", "ORD-7")
@pytest.mark.parametrize("epoch", [Epoch(1), None])
async def test_what_is_claimed_while_control_is_given_away_is_sent_before_it_goes(
    epoch: Epoch | None,
) -> None:
    """Else it were in doubt, and at a class C broker a person's, though it was never sent."""
    store, venue, told = SlowStore(), Venue(), list[Told]()
    executor = executor_of(store, venue, told)
    running = asyncio.create_task(executor.run(epoch))
    executor.offer([new("one")])
    await until(lambda: store.committed)
    running.cancel()
    executor.abandon()
    await asyncio.wait({running})
    draining = asyncio.create_task(executor.drained())
    await settle()
    assert not draining.done()
    store.may_answer.set()
    await draining
    assert venue.sent == ["one"]
    assert [word.word for word in told] == [PLACED]


@pytest.mark.req("CTL-2", "OPS-2")
async def test_nothing_is_claimed_once_it_is_abandoned_until_it_runs_again() -> None:
    store, venue, told = SlowStore(), Venue(), list[Told]()
    store.may_answer.set()
    executor = executor_of(store, venue, told)
    running = asyncio.create_task(executor.run(None))
    await settle()
    executor.abandon()  # as at a clean stop in active-active: its loops end last
    executor.offer([new("one")])
    await until(lambda: venue.prepared)
    await settle()
    assert not store.committed
    running.cancel()
    await asyncio.wait({running})
    running = asyncio.create_task(executor.run(None))
    executor.offer([new("two")])
    await until(lambda: told)
    assert venue.sent == ["two"]
    running.cancel()


@pytest.mark.req("ORD-1", "ORD-3", "Q-1")
async def test_what_was_sent_is_not_sent_again_where_it_comes_again_and_a_commit_is_unknown() -> (
    None
):
    store, venue, told = StaleStore(new("one")), Venue(), list[Told]()
    executor = executor_of(store, venue, told)
    running = asyncio.create_task(executor.run(None))
    await until(lambda: venue.sent)
    executor.offer(store.stale)
    await until(lambda: store.asked)
    await settle()
    assert venue.sent == ["one"]
    running.cancel()
    await asyncio.wait({running})
    await executor.drained()
