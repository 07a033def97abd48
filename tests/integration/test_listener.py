"""What streams say, booked on a real database: once, whoever hears it, and never on their word
alone where an order is known by another id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.report import OrderReport, OrderStatus, Placed, Trade
from onefill.core.orders.settlement import Told, settle
from onefill.core.orders.stream_words import Connected, Nudge, Stirred, StreamWord
from onefill.flow.listener import Listener
from onefill.flow.settler import Settler
from onefill.ports.clock import RealClock
from support import until
from trading_desk import Desk
from trading_support import PostgresAuthority, holder, lead


class Stream:
    """A broker of which only the stream is asked for; the test says what it says."""

    name = "binance"

    def __init__(self, account: str = "paper") -> None:
        self.account = account
        self.capabilities = SimpleNamespace(streams=True, finds_by_client_id=True)
        self.hears: list[Callable[[StreamWord], None]] = []

    async def watch(self, hear: Callable[[StreamWord], None]) -> None:
        self.hears.append(hear)
        await asyncio.Event().wait()

    def say(self, *words: StreamWord) -> None:
        """Say it to all who listen."""
        for word in words:
            for hear in self.hears:
                hear(word)


class Scene:
    """A database, and as many instances that listen as a test wants."""

    def __init__(self, desk: Desk, stream: Stream) -> None:
        self.desk = desk
        self.stream = stream
        self.another = Stream("another")
        self.hurried: list[Sequence[ClientOrderId] | None] = []
        self.stirred = 0
        self.alarms: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def listen(self) -> Settler:
        """One more instance that listens."""
        clock = RealClock()
        settler = Settler(
            store=self.desk.store,
            settle=settle,
            hand_on=lambda settled: self.alarms.extend(settled.alarms),
            clock=clock,
        )
        listener = Listener(
            store=self.desk.store,
            brokers=[self.stream, self.another],  # type: ignore[list-item]
            tell=settler.tell,
            hurry=self.hurried.append,
            stirred=self._stir,
            clock=clock,
        )
        wanted = len(self.stream.hears) + 1
        self._tasks += [asyncio.create_task(settler.run()), asyncio.create_task(listener.run())]
        await until(lambda: len(self.stream.hears) == wanted)
        return settler

    def _stir(self) -> None:
        self.stirred += 1

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def intent(self, name: ClientOrderId) -> OrderIntent:
        (intent,) = await self.desk.store.named([name])
        return intent

    async def until_state(self, intent: OrderIntent, state: IntentState) -> OrderIntent:
        async def reached() -> bool:
            return (await self.intent(intent.client_order_id)).state is state

        await until(reached)
        return await self.intent(intent.client_order_id)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    authority = PostgresAuthority(database_url)
    me = holder("a")
    desk = Desk(authority, authority.trading(me), await lead(authority, me))
    scene = Scene(desk, Stream())
    yield scene
    await scene.stop()
    await authority.close()


def report(intent: OrderIntent, filled: int, number: str = "77") -> OrderReport:
    trades = tuple(
        Trade(trade_id=str(n), quantity=Decimal(1), price=Decimal(100 + n)) for n in range(filled)
    )
    whole = filled == intent.order.quantity
    partly = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    return OrderReport(
        broker_order_id=number,
        status=OrderStatus.FILLED if whole else partly,
        filled_quantity=Decimal(filled),
        filled_value=sum((t.quantity * t.price for t in trades), Decimal(0)),
        client_order_id=intent.client_order_id,
        symbol=intent.order.symbol,
        trades=trades,
    )


async def sent(scene: Scene, quantity: int = 3) -> OrderIntent:
    """An order that was claimed, and of which nothing was heard yet."""
    intent = await scene.desk.order()
    await scene.desk.authority.rows(  # type: ignore[attr-defined]
        "UPDATE order_intents SET quantity = $1", Decimal(quantity)
    )
    intent = await scene.intent(intent.client_order_id)
    assert await scene.desk.claim(intent) == ["claimed"]
    return intent


async def booked(scene: Scene) -> tuple[int, Decimal, int]:
    """How many fills, their sum, and how many trades of the broker's."""
    rows = await scene.desk.authority.rows(  # type: ignore[attr-defined]
        "SELECT count(*) AS fills, sum(quantity) AS quantity, "
        "(SELECT count(*) FROM broker_trades) AS trades FROM fills"
    )
    return rows[0]["fills"], rows[0]["quantity"], rows[0]["trades"]


@pytest.mark.req("ORD-10")
async def test_what_two_instances_hear_repeated_and_out_of_order_is_booked_once(
    scene: Scene,
) -> None:
    await scene.listen()
    await scene.listen()
    intent = await sent(scene)
    first, second, last = (report(intent, filled) for filled in (1, 2, 3))
    scene.stream.say(second, first, second, last, first, last)
    after = await scene.until_state(intent, IntentState.FILLED)
    assert after.filled_value == 100 + 101 + 102
    for settler in [await scene.listen()]:
        scene.stream.say(last, second)
        await settler.drained()
    fills, quantity, trades = await booked(scene)
    assert (quantity, trades) == (3, 3)
    assert fills <= 3
    assert scene.alarms == []


@pytest.mark.req("ORD-10")
async def test_two_orders_that_the_broker_numbers_alike_are_told_apart_by_name(
    scene: Scene,
) -> None:
    await scene.listen()
    intents = [await scene.desk.sent(symbol, symbol) for symbol in ("SIM001", "SIM002")]
    scene.stream.say(
        *(report(intent, filled) for intent, filled in zip(intents, (0, 1), strict=True))
    )
    await scene.until_state(intents[0], IntentState.ACKED)
    await scene.until_state(intents[1], IntentState.FILLED)


@pytest.mark.req("ORD-4", "ORD-10")
async def test_an_order_in_doubt_is_settled_by_what_the_stream_says(scene: Scene) -> None:
    await scene.listen()
    intent = await sent(scene)
    scene.stream.say(report(intent, 0))
    after = await scene.until_state(intent, IntentState.ACKED)
    assert after.broker_order_id == "77"


@pytest.mark.req("ORD-10", "ORD-12")
async def test_an_order_that_is_known_by_another_id_is_looked_up_not_believed(
    scene: Scene,
) -> None:
    settler = await scene.listen()
    intent = await sent(scene)
    waits = Told(
        client_order_id=intent.client_order_id,
        attempt=1,
        word=Placed(report=report(intent, 0, "algo-5")),
    )
    settler.tell(waits)
    await scene.until_state(intent, IntentState.ACKED)
    scene.stream.say(report(intent, 3, "88"))
    await until(lambda: [intent.client_order_id] in scene.hurried)
    after = await scene.intent(intent.client_order_id)
    assert (after.state, after.filled_quantity) == (IntentState.ACKED, 0)
    assert scene.alarms == []


@pytest.mark.req("ORD-10")
async def test_strangers_orders_and_other_accounts_change_nothing(scene: Scene) -> None:
    await scene.listen()
    intent = await sent(scene)
    stranger = replace(report(intent, 3, "99"), client_order_id="ofxyz0123456789abcde")
    scene.another.say(report(intent, 3))
    scene.stream.say(stranger, report(intent, 1))
    after = await scene.until_state(intent, IntentState.PARTIALLY_FILLED)
    assert after.filled_quantity == 1


@pytest.mark.req("ORD-10")
async def test_a_nudge_hurries_one_order_and_a_new_connection_all(scene: Scene) -> None:
    await scene.listen()
    scene.stream.say(Nudge(client_order_id="of1"), Connected(), Stirred(detail="x"))
    assert scene.hurried == [["of1"], None]
    scene.stream.say(Stirred(detail="again, at once"))
    assert scene.stirred == 1
