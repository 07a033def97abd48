"""Stops that wait where no order is reduce-only → compared with what is held there. PF-11, ORD-9.

Whoever closes a position by hand leaves its stop behind, and in India that stop would open the
other side. So the leader compares the two more often than all the rest; it decides nothing: it
brings what it saw to where the lane's decision is made, and asks for the whole comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import structlog

from onefill.core.book import Decision, Situation
from onefill.core.errors import OnefillError
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent
from onefill.core.issue import STOP, is_waiting_stop
from onefill.core.money import ZERO
from onefill.core.orders.rates import Urgency
from onefill.core.orders.report import Found
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox
from onefill.ports.rates import urgently
from onefill.ports.recovery import RecoveryStore
from onefill.ports.trading import ContinueExits, TradingStore

STOPS_A_LOOK = 1024
COMPARISONS = 3
"""So often the whole comparison is asked for: while a stop is being cancelled its symbol can't be
compared."""

log = structlog.get_logger()


class StopWatch:
    """Runs while leading. soon: asks for the whole comparison with the brokers."""

    def __init__(
        self,
        *,
        store: TradingStore,
        recovery: RecoveryStore,
        brokers: Sequence[Broker],
        lanes: Inbox[Lane],
        soon: Callable[[], None],
        clock: Clock,
        every_s: float,
    ) -> None:
        self._store = store
        self._recovery = recovery
        self._brokers = brokers
        self._lanes = lanes
        self._soon = soon
        self._clock = clock
        self._every_s = every_s
        self._suspected: frozenset[ClientOrderId] = frozenset()
        self._bare: frozenset[ClientOrderId] = frozenset()
        self._comparisons = 0

    def informed(self, go_on: ContinueExits) -> ContinueExits:
        """The same, but it knows which stops guard nothing."""

        def go_on_informed(situation: Situation) -> Decision | None:
            return go_on(replace(situation, bare_stops=self._bare))

        return go_on_informed

    def settled(self, intents: Sequence[OrderIntent]) -> None:
        """A stop that fills where nothing holds it back is compared with the broker at once."""
        free = {b.name for b in self._brokers if not b.capabilities.native_reduce_only}
        stops = (i for i in intents if i.action == STOP and i.filled_quantity > 0)
        if any(stop.order.broker in free for stop in stops):
            self._soon()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await self._clock.sleep(self._every_s)

    async def _look(self) -> None:
        found: list[OrderIntent] = []
        try:
            waiting = [i for i in await self._store.working(STOPS_A_LOOK) if is_waiting_stop(i)]
            for broker in self._brokers:
                here = [i for i in waiting if _is_at(i, broker)]
                if here and not broker.capabilities.native_reduce_only:
                    with urgently(Urgency.LATER):
                        found += await self._bare_ones(broker, here)
        except OnefillError as error:
            log.warning("stop_watch.not_looked", error=str(error))
        # Twice in a row: a book of positions may lag behind the fill that a stop just followed.
        before, self._suspected = self._suspected, frozenset(i.client_order_id for i in found)
        self._bare = self._suspected & before
        if self._bare:
            log.critical("stop_watch.guards_nothing", intents=sorted(self._bare))
            self._lanes.add([i.lane for i in found if i.client_order_id in self._bare])
            self._comparisons = COMPARISONS
        if self._comparisons > 0:
            self._comparisons -= 1
            self._soon()

    async def _bare_ones(self, broker: Broker, stops: Sequence[OrderIntent]) -> list[OrderIntent]:
        """Stops of symbols of which less is held there than our book and they themselves say.

        A stop that has just filled looks the same at first: so each suspicious one is asked for,
        and what is held is read once more behind that.
        """
        suspicious = await self._too_much(broker, stops)
        if not suspicious:
            return []
        still = [stop for stop in suspicious if await self._still_waits(broker, stop)]
        return await self._too_much(broker, still) if still else []

    async def _too_much(self, broker: Broker, stops: Sequence[OrderIntent]) -> list[OrderIntent]:
        theirs = await broker.positions()
        ours = await self._recovery.holdings(broker.name, broker.account)
        would_sell: dict[str, Decimal] = {}
        for stop in stops:
            symbol = stop.order.symbol
            would_sell[symbol] = would_sell.get(symbol, ZERO) + stop.remaining
        bare = {
            symbol
            for symbol, quantity in would_sell.items()
            if quantity > max(theirs.get(symbol, ZERO), ZERO)
            and theirs.get(symbol, ZERO) < ours.net.get(symbol, ZERO)
            and symbol not in ours.unsettled
        }
        return [stop for stop in stops if stop.order.symbol in bare]

    async def _still_waits(self, broker: Broker, stop: OrderIntent) -> bool:
        answer = await broker.look_up(stop, ())
        if not isinstance(answer, Found):
            return False
        report = answer.report
        return report.status.value == "open" and report.filled_quantity == stop.filled_quantity


def _is_at(intent: OrderIntent, broker: Broker) -> bool:
    return (intent.order.broker, intent.order.account) == (broker.name, broker.account)
