"""Brokers' streams → what they say of our orders, and hints to look. Never fenced (ORD-4, ORD-10).

Every instance listens, whoever leads; whoever hears something first has it stored. What is lost,
late, repeated or out of order here changes nothing: quantities are cumulative, and the tracker
polls all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId
from onefill.core.intent import OrderIntent
from onefill.core.orders.hearing import adds_to
from onefill.core.orders.report import OrderReport, Placed
from onefill.core.orders.settlement import Told
from onefill.core.orders.stream_words import Connected, Disconnected, Nudge, Stirred, StreamWord
from onefill.flow.backoff import Backoff
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.trading import TradingStore

WAITING_MAX = 10_000
STIRRED_EVERY_MS = 10_000

_Heard = tuple[Broker, OrderReport]

log = structlog.get_logger()


class Listener:
    """Hears all brokers that have a stream, for as long as the process runs.

    hurry: told which orders are to be looked up at once (None: all that work). stirred: told that
    an account changed other than by our orders.
    """

    def __init__(
        self,
        *,
        store: TradingStore,
        brokers: Sequence[Broker],
        tell: Callable[[Told], None],
        hurry: Callable[[Sequence[ClientOrderId] | None], None],
        stirred: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._brokers = brokers
        self._tell = tell
        self._hurry = hurry
        self._stirred = stirred
        self._clock = clock
        self._reports: list[_Heard] = []
        self._filled = asyncio.Event()
        self._stirred_ms = float("-inf")

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as loops:
            for broker in self._brokers:
                if broker.capabilities.streams:
                    loops.create_task(broker.watch(partial(self._hear, broker)))
            loops.create_task(self._book())

    def _hear(self, broker: Broker, word: StreamWord) -> None:
        match word:
            case OrderReport():
                self._take(broker, word)
            case Nudge(client_order_id=name):
                self._hurry([ClientOrderId(name)])
            case Connected():
                log.info("listener.connected", broker=broker.name, account=broker.account)
                self._hurry(None)
            case Disconnected(detail=detail):
                log.warning("listener.disconnected", broker=broker.name, detail=detail)
            case Stirred(detail=detail):
                self._stir(broker, detail)

    def _take(self, broker: Broker, report: OrderReport) -> None:
        if len(self._reports) < WAITING_MAX:  # the store is away for long: polling finds the rest
            self._reports.append((broker, report))
            self._filled.set()

    def _stir(self, broker: Broker, detail: str) -> None:
        now_ms = self._clock.boottime_ms()
        if now_ms - self._stirred_ms >= STIRRED_EVERY_MS:
            self._stirred_ms = now_ms
            log.warning("listener.stirred", broker=broker.name, detail=detail)
            self._stirred()

    async def _book(self) -> None:
        backoff = Backoff(self._clock)
        while True:
            await self._filled.wait()
            group, self._reports = self._reports, []
            self._filled.clear()
            try:
                await self._hand_on(group)
                backoff.reset()
            except StoreUnavailable as error:
                log.warning("listener.store_unavailable", waiting=len(group), error=str(error))
                self._reports = [*group, *self._reports]
                self._filled.set()
                await backoff.wait()

    async def _hand_on(self, group: Sequence[_Heard]) -> None:
        """Tell what adds to the books; an order known by another id there is looked up instead."""
        names = await self._names(group)
        wanted = sorted({name for name in names if name is not None})
        intents = {i.client_order_id: i for i in await self._store.named(wanted)}
        for (broker, report), name in zip(group, names, strict=True):
            intent = intents.get(name) if name is not None else None
            if intent is None or not _is_at(broker, intent):
                continue
            if intent.broker_order_id not in (None, report.broker_order_id):
                self._hurry([intent.client_order_id])
            elif adds_to(intent, report):
                self._tell(_told(intent, report))

    async def _names(self, group: Sequence[_Heard]) -> list[ClientOrderId | None]:
        """Whose orders these are: as they say, else as the store knows."""
        known: dict[tuple[str, str], ClientOrderId] = {}
        for name in {broker.name for broker, _ in group if not _names_orders(broker)}:
            numbers = {report.broker_order_id for broker, report in group if broker.name == name}
            found = await self._store.known_orders(name, sorted(numbers))
            known |= {(name, number): owner for number, owner in found.items()}
        return [
            ClientOrderId(report.client_order_id or "")
            if _names_orders(broker)
            else known.get((broker.name, report.broker_order_id))
            for broker, report in group
        ]


def _names_orders(broker: Broker) -> bool:
    """Whether the broker passes our ids on; its own are unique only within a symbol at some."""
    return broker.capabilities.finds_by_client_id


def _is_at(broker: Broker, intent: OrderIntent) -> bool:
    return (intent.order.broker, intent.order.account) == (broker.name, broker.account)


def _told(intent: OrderIntent, report: OrderReport) -> Told:
    return Told(
        client_order_id=intent.client_order_id,
        attempt=intent.attempt,
        word=Placed(report=report),
    )
