"""Orders at the broker → their fills, by polling; streams, where there are any, come beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId
from onefill.core.intent import AT_BROKER, OrderIntent
from onefill.core.orders.rates import Urgency
from onefill.core.orders.report import Found, Placed
from onefill.core.orders.settlement import Told
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.rates import urgently
from onefill.ports.trading import TradingStore

SWEEP_EVERY_MS = 1000
ORDERS_A_SWEEP = 1024
FIRST_POLL_MS, SLOWEST_POLL_MS = 5, 1000
POLLS_AT_ONCE = 16
"""Of each account: a broker that is silent holds up nobody else's fills."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    intent: OrderIntent
    due_ms: float
    every_ms: float
    is_asked: bool = False


class Tracker:
    """Polls each working order: soon at first, then ever more slowly.

    first_poll_ms, slowest_poll_ms: the first pause and the longest one. sees_all: whether it looks
    after what other instances sent, too: the leader does.
    """

    def __init__(
        self,
        *,
        store: TradingStore,
        broker_of: Callable[[OrderIntent], Broker | None],
        tell: Callable[[Told], None],
        clock: Clock,
        sees_all: Callable[[], bool] = lambda: True,
        first_poll_ms: int = FIRST_POLL_MS,
        slowest_poll_ms: int = SLOWEST_POLL_MS,
    ) -> None:
        self._first_poll_ms = first_poll_ms
        self._slowest_poll_ms = slowest_poll_ms
        self._sees_all = sees_all
        self._store = store
        self._broker_of = broker_of
        self._tell = tell
        self._clock = clock
        self._watched: dict[ClientOrderId, _Watched] = {}
        self._changed = asyncio.Event()
        self._wakes_ms = float("-inf")
        self._places: dict[tuple[str, str], asyncio.Semaphore] = {}

    def settled(self, intents: Sequence[OrderIntent]) -> None:
        """Watch what is working at the broker now, and no longer what is not."""
        now_ms = self._clock.boottime_ms()
        for intent in intents:
            name = intent.client_order_id
            if intent.state not in AT_BROKER:
                self._watched.pop(name, None)
            elif (watched := self._watched.get(name)) is not None:
                watched.intent = intent
            else:
                first_ms = self._first_poll_ms
                self._watched[name] = _Watched(intent, now_ms + first_ms, first_ms)
                self._changed.set()

    def hurry(self, names: Sequence[ClientOrderId] | None) -> None:
        """Poll these at once, if they are watched; None is all of them."""
        now_ms = self._clock.boottime_ms()
        for name in tuple(self._watched) if names is None else names:
            if name in self._watched:
                self._watched[name].due_ms = now_ms
                self._changed.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        swept_ms = float("-inf")
        async with asyncio.TaskGroup() as polls:
            while True:
                if self._clock.boottime_ms() - swept_ms >= SWEEP_EVERY_MS:
                    await self._sweep()
                    swept_ms = self._clock.boottime_ms()
                now_ms = self._clock.boottime_ms()
                for watched in self._idle():
                    if watched.due_ms <= now_ms:
                        watched.is_asked = True
                        polls.create_task(self._poll_once(watched))
                await self._wait_until_due(swept_ms + SWEEP_EVERY_MS)

    def _idle(self) -> list[_Watched]:
        return [watched for watched in self._watched.values() if not watched.is_asked]

    async def _sweep(self) -> None:
        try:
            self.settled(await self._store.working(ORDERS_A_SWEEP, mine=not self._sees_all()))
        except StoreUnavailable as error:
            log.warning("tracker.store_unavailable", error=str(error))

    async def _wait_until_due(self, latest_ms: float) -> None:
        soonest_ms = min((w.due_ms for w in self._idle()), default=latest_ms)
        self._wakes_ms = min(soonest_ms, latest_ms)
        wait_ms = max(self._wakes_ms - self._clock.boottime_ms(), 1)
        self._changed.clear()
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _poll_once(self, watched: _Watched) -> None:
        try:
            await self._poll(watched)
        finally:
            watched.is_asked = False
            if watched.due_ms < self._wakes_ms:
                self._changed.set()

    async def _poll(self, watched: _Watched) -> None:
        watched.every_ms = min(watched.every_ms * 2, self._slowest_poll_ms)
        watched.due_ms = self._clock.boottime_ms() + watched.every_ms
        broker = self._broker_of(watched.intent)
        if broker is None:
            return
        account = (watched.intent.order.broker, watched.intent.order.account)
        places = self._places.setdefault(account, asyncio.Semaphore(POLLS_AT_ONCE))
        async with places:
            with urgently(Urgency.LATER):
                answer = await broker.look_up(watched.intent, ())
        if isinstance(answer, Found) and _says_more(watched.intent, answer):
            told = Placed(report=answer.report)
            intent = watched.intent
            self._tell(
                Told(client_order_id=intent.client_order_id, attempt=intent.attempt, word=told)
            )


def _says_more(intent: OrderIntent, answer: Found) -> bool:
    report = answer.report
    if report.filled_quantity > intent.filled_quantity:
        return True
    return report.status.value not in ("open", "partially_filled")
