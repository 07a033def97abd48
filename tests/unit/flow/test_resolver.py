"""What the resolver makes of a repeat's answer, and of a store that is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import IntentState, OrderIntent, OrderRequest, Side
from onefill.core.orders.report import (
    Absent,
    Found,
    LookUp,
    NoAnswer,
    NotPlaced,
    NotSent,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.orders.settlement import Told, Unsettled
from onefill.flow.resolver import LOOK_UPS_AT_ONCE, Resolver
from onefill.ports.broker import Broker, OrderClass, Prepared
from onefill.ports.clock import RealClock
from onefill.ports.trading import Claim, TradingStore
from support import until

S = IntentState
NOW = datetime(2026, 1, 15, tzinfo=UTC)
PLACED = Placed(report=OrderReport(broker_order_id="7", status=OrderStatus.OPEN))


def in_doubt(name: str, account: str = "paper") -> OrderIntent:
    return OrderIntent(
        client_order_id=ClientOrderId(name),
        lane=Lane("main/BTCUSDT"),
        portfolio="main",
        instrument="BTCUSDT",
        source=name,
        leg="main",
        action="trade",
        n=1,
        order=OrderRequest(
            broker="sim",
            account=account,
            symbol=name,
            side=Side.BUY,
            quantity=Decimal(1),
        ),
        adds_exposure=False,
        state=IntentState.IN_DOUBT,
        attempt=1,
    )


class Store:
    """Holds orders in doubt; loses the claims of the one named `lost`."""

    def __init__(self, *names: str) -> None:
        self._intents = [in_doubt(name) for name in names]
        self.rivals: list[OrderIntent] = []
        self.owners: dict[str, ClientOrderId] = {}

    def add(self, intents: Iterable[OrderIntent]) -> None:
        self._intents += intents

    async def unresolved(self, limit: int) -> Sequence[OrderIntent]:
        return tuple(self._intents)

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        return [*self._intents, *self.rivals]

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        return {number: owner for number, owner in self.owners.items() if number in ids}

    async def now(self) -> datetime:
        return NOW

    async def claim(self, epoch: Epoch, claims: Sequence[Claim]) -> Mapping[ClientOrderId, str]:
        if claims[0].client_order_id == "lost":
            raise StoreUnavailable
        return {claim.client_order_id: "claimed" for claim in claims}


class ClassA:
    """A venue that does not show the order, and answers a repeat with one word."""

    class capabilities:  # noqa: N801  a port's attribute
        order_class = OrderClass.A
        finds_by_client_id = True
        retention_s = 86_400

    def __init__(self, word: Outcome) -> None:
        self._word = word
        self.is_sending = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        return Absent(conclusive=False, detail="not there yet")

    async def prepare(self, intent: OrderIntent) -> Prepared:
        return Prepared(
            intent=intent,
            attempt=intent.attempt + 1,
            method="POST",
            url="",
            headers={},
            body=b"",
            signed_at=NOW,
            expires_at=None,
            anchored_ms=0,
            send_within_ms=100,
            request_hash=b"",
        )

    async def send(self, prepared: Prepared) -> Outcome:
        self.is_sending.set()
        await self.answers.wait()
        return self._word


class ClassC:
    """A venue that shows one order like the one in doubt; something happens before it does."""

    class capabilities:  # noqa: N801  a port's attribute
        order_class = OrderClass.C
        finds_by_client_id = False

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile
        self.looks = 0

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        if rivals:
            return NoAnswer(detail="it may be another's")
        self.meanwhile()
        self.looks += 1
        return Found(report=PLACED.report)


def resolver_of(store: Store, broker: ClassA | ClassC, told: list[Told]) -> Resolver:
    return Resolver(
        store=cast(TradingStore, store),
        broker_of=lambda intent: cast(Broker, broker),
        tell=told.append,
        clock=RealClock(),
        quarantine_after_s=60,
    )


@asynccontextmanager
async def resolving(store: Store, broker: ClassA | ClassC) -> Any:
    """What is told while the resolver runs, and its task."""
    told: list[Told] = []
    resolver = resolver_of(store, broker, told)
    task = asyncio.create_task(resolver.run(Epoch(1)))
    yield told, task
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.req("ORD-4", "ORD-7")
@pytest.mark.parametrize("word", [NotPlaced(code="-2019", message="margin"), NotSent(detail="")])
async def test_a_no_to_a_repeat_says_nothing_of_the_attempts_before(word: Outcome) -> None:
    async with resolving(Store("one"), ClassA(word)) as (told, _):
        await until(lambda: told)
        assert isinstance(told[0].word, Unknown)
        assert told[0].attempt == 2


@pytest.mark.req("ORD-7")
async def test_a_repeat_that_was_placed_settles_the_order() -> None:
    async with resolving(Store("one"), ClassA(PLACED)) as (told, _):
        await until(lambda: told)
        assert told[0].word == PLACED


@pytest.mark.req("ORD-7", "CTL-10")
async def test_a_store_that_is_lost_over_one_order_ends_neither_the_others_nor_the_term() -> None:
    async with resolving(Store("lost", "one"), ClassA(PLACED)) as (told, task):
        await until(lambda: len(told) > 1)
        assert {word.client_order_id for word in told} == {"one"}
        assert not task.done()


@pytest.mark.req("CTL-2", "CTL-11", "ORD-4")
async def test_the_answer_to_a_repeat_is_waited_for_when_its_term_ends() -> None:
    told: list[Told] = []
    broker = ClassA(PLACED)
    broker.answers.clear()
    resolver = resolver_of(Store("one"), broker, told)
    term = asyncio.create_task(resolver.run(Epoch(1)))
    await broker.is_sending.wait()
    term.cancel()
    await asyncio.wait({term})
    draining = asyncio.create_task(resolver.drained())
    done, _ = await asyncio.wait({draining}, timeout=0)
    assert not done
    broker.answers.set()
    await draining
    assert [word.word for word in told] == [PLACED]


@pytest.mark.req("ORD-7", "ORD-4")
async def test_an_order_of_somebody_who_sent_a_like_one_during_the_look_is_not_taken() -> None:
    store = Store("one")
    rival = replace(in_doubt("one"), client_order_id=ClientOrderId("two"), state=S.SENDING)
    broker = ClassC(lambda: store.rivals.append(rival))
    async with resolving(store, broker) as (told, _):
        await until(lambda: broker.looks)
        assert not told
        broker.meanwhile = lambda: None
        store.owners["7"] = rival.client_order_id  # its answer came: the order is its own
        store.rivals.clear()
        seen = broker.looks
        await until(lambda: broker.looks > seen + 1)
        assert not told
        store.owners.clear()  # it is nobody's after all
        await until(lambda: told)
        assert told[0].word == PLACED


class Silent(ClassC):
    """A venue that takes questions and never answers."""

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        self.looks += 1
        await asyncio.Event().wait()
        raise AssertionError("it never answers")


@pytest.mark.req("ORD-7", "ORD-11")
async def test_one_brokers_doubts_are_settled_while_another_one_is_silent() -> None:
    store, silent = Store("one"), Silent(lambda: None)
    store.add(in_doubt(f"stuck{n}", "another") for n in range(LOOK_UPS_AT_ONCE + 1))
    told: list[Told] = []
    resolver = Resolver(
        store=cast(TradingStore, store),
        broker_of=lambda i: cast(Broker, ClassA(PLACED) if i.source == "one" else silent),
        tell=told.append,
        clock=RealClock(),
        quarantine_after_s=60,
    )
    running = asyncio.create_task(resolver.run(Epoch(1)))
    await until(lambda: len(told) > 1)  # and again, as its store goes on calling it in doubt
    assert silent.looks == LOOK_UPS_AT_ONCE
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(("hours", "word"), [(12, Placed), (12.1, Unsettled)])
async def test_an_id_that_its_broker_may_have_forgotten_soon_is_not_sent_again(
    hours: float, word: type
) -> None:
    store = Store()
    sent = NOW - timedelta(hours=hours)
    store.add([replace(in_doubt("old"), signed_at=sent, send_by=sent)])
    async with resolving(store, ClassA(PLACED)) as (told, _):
        await until(lambda: told)
        assert isinstance(told[0].word, word)
