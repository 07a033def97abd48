"""Orders that follow their price: quotes for those that are due, and for those about to be sent.

It decides nothing: it brings quotes to where the lane's decision is made, and wakes the lane. What
is due is seen from the store and from settled orders, so that whoever leads next goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from onefill.core.book import Decision, Situation
from onefill.core.errors import BrokerUnavailable, StoreUnavailable
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.instrument import ChaseLimits, Rules
from onefill.core.intent import AT_BROKER, OrderIntent, OrderType, Verb
from onefill.core.portfolio.chasing import begin, limits_of
from onefill.core.quote import Listing, Quote
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox
from onefill.ports.trading import ContinueExits, TradingStore

SWEEP_EVERY_MS = 1000
ORDERS_A_SWEEP = 256
QUOTE_WITHIN_S = 1.0
"""An order waits no longer for a quote: it is sent at market then."""
QUOTE_GOOD_FOR_MS = 1500

log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    order: OrderIntent
    limits: ChaseLimits
    due_ms: float
    quote: Quote | None = None
    quoted_ms: float = float("-inf")


class Chaser:
    """Runs while leading. `priced` and `informed` serve whoever sends and decides."""

    def __init__(
        self,
        *,
        store: TradingStore,
        broker_of: Callable[[OrderIntent], Broker | None],
        rules: Rules,
        lanes: Inbox[Lane],
        clock: Clock,
    ) -> None:
        self._store = store
        self._broker_of = broker_of
        self._rules = rules
        self._lanes = lanes
        self._clock = clock
        self._watched: dict[ClientOrderId, _Watched] = {}
        self._changed = asyncio.Event()

    # For whoever sends and decides -------------------------------------------------------------

    async def priced(self, intent: OrderIntent) -> OrderIntent:
        """The order with the price that it is to be sent with, where it follows one."""
        instrument = self._rules.instruments.get(intent.instrument)
        if instrument is None or instrument.chase is None or not _follows(intent):
            return intent
        broker = self._broker_of(intent)
        if broker is None or not broker.capabilities.states_fills:
            return _at_market(intent)
        quotes = await self._quotes(broker, [intent])
        most = broker.capabilities.modifications_max
        return begin(intent, quotes.get(intent.client_order_id), instrument, most)

    def informed(self, go_on: ContinueExits) -> ContinueExits:
        """The same, but it knows the market of the orders that are due."""

        def go_on_informed(situation: Situation) -> Decision | None:
            return go_on(replace(situation, quotes=self._fresh_quotes(situation)))

        return go_on_informed

    def _fresh_quotes(self, situation: Situation) -> dict[ClientOrderId, Quote]:
        since_ms = self._clock.boottime_ms() - QUOTE_GOOD_FOR_MS
        names = (intent.client_order_id for intent in situation.intents)
        seen = {name: self._watched[name] for name in names if name in self._watched}
        return {
            name: watched.quote
            for name, watched in seen.items()
            if watched.quote is not None and watched.quoted_ms >= since_ms
        }

    # While leading -----------------------------------------------------------------------------

    def settled(self, intents: Sequence[OrderIntent]) -> None:
        """Watch what is at a broker now and follows its price, and no longer what is not."""
        self._watch(intents, first_after_s=None)

    def _watch(self, intents: Sequence[OrderIntent], *, first_after_s: float | None) -> None:
        for intent in intents:
            name, limits = intent.client_order_id, limits_of(intent, self._rules)
            if intent.chase is None or intent.verb is not Verb.PLACE or limits is None:
                continue
            if intent.state not in AT_BROKER:
                self._watched.pop(name, None)
            elif name in self._watched:
                self._watched[name].order = intent
            else:
                after_s = float(limits.every_s) if first_after_s is None else first_after_s
                due_ms = self._clock.boottime_ms() + after_s * 1000
                self._watched[name] = _Watched(intent, limits, due_ms)
                self._changed.set()

    async def run(self) -> None:
        """Bring quotes and wake lanes until cancelled."""
        swept_ms = float("-inf")
        while True:
            now_ms = self._clock.boottime_ms()
            if now_ms - swept_ms >= SWEEP_EVERY_MS:
                await self._sweep()
                swept_ms = now_ms
            due = [watched for watched in self._watched.values() if watched.due_ms <= now_ms]
            if due:
                await self._bring(due)
            await self._wait_until_due(swept_ms + SWEEP_EVERY_MS)

    async def _sweep(self) -> None:
        try:
            working = await self._store.chased(ORDERS_A_SWEEP)
        except StoreUnavailable as error:
            log.warning("chaser.store_unavailable", error=str(error))
            return
        names = {intent.client_order_id for intent in working}
        for name in [name for name in self._watched if name not in names]:
            del self._watched[name]
        self._watch(working, first_after_s=0.0)

    async def _bring(self, due: Sequence[_Watched]) -> None:
        """Quotes for these; without one an order still takes its steps, by its own price."""
        brokers = {watched.order.client_order_id: self._broker_of(watched.order) for watched in due}
        for broker in {id(each): each for each in brokers.values() if each is not None}.values():
            mine = [w for w in due if brokers[w.order.client_order_id] is broker]
            quotes = await self._quotes(broker, [watched.order for watched in mine])
            for watched in mine:
                watched.quote = quotes.get(watched.order.client_order_id)
                watched.quoted_ms = self._clock.boottime_ms()
        for watched in due:
            watched.due_ms = self._clock.boottime_ms() + float(watched.limits.every_s) * 1000
        self._lanes.add([watched.order.lane for watched in due])

    async def _quotes(
        self, broker: Broker, orders: Sequence[OrderIntent]
    ) -> dict[ClientOrderId, Quote]:
        listings = {Listing(each.order.symbol, each.order.exchange) for each in orders}
        try:
            async with asyncio.timeout(QUOTE_WITHIN_S):
                quotes = await broker.quotes(listings)
        except (BrokerUnavailable, TimeoutError) as error:
            log.warning("chaser.no_quotes", broker=broker.name, error=str(error))
            return {}
        found = {each.client_order_id: quotes.get(each.order.symbol) for each in orders}
        return {name: quote for name, quote in found.items() if quote is not None}

    async def _wait_until_due(self, latest_ms: float) -> None:
        soonest_ms = min((w.due_ms for w in self._watched.values()), default=latest_ms)
        wait_ms = max(min(soonest_ms, latest_ms) - self._clock.boottime_ms(), 1)
        self._changed.clear()
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            return


def _follows(intent: OrderIntent) -> bool:
    """Whether the order may follow its price: what asked for a price of its own keeps it."""
    is_plain = intent.order.order_type is OrderType.MARKET
    return intent.verb is Verb.PLACE and (is_plain or intent.chase is not None)


def _at_market(intent: OrderIntent) -> OrderIntent:
    order = replace(intent.order, order_type=OrderType.MARKET, price=None)
    return replace(intent, order=order, chase=None)
