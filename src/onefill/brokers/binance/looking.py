"""What Binance says of one order: found, absent for good, not there yet, or not to be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from onefill.brokers.binance import algo_words, words
from onefill.brokers.binance.shelves import Seen, Shelf, Shelves
from onefill.brokers.binance.wire import Wire
from onefill.brokers.http import Reply
from onefill.brokers.likeness import KnownOrders, like, recognise
from onefill.brokers.outcome import legible
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import OrderIntent, Verb
from onefill.core.orders.report import Absent, Found, LookUp, NoAnswer
from onefill.ports.broker import Capabilities, OrderClass

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: int) -> datetime:
    """The UTC time of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


class Looker:
    """Looks orders up on either shelf, and knows when their absence is a proof.

    margin_ms: what is added to the venue's lag.
    """

    def __init__(
        self,
        wire: Wire,
        shelves: Shelves,
        known: KnownOrders,
        capabilities: Callable[[], Capabilities],
        margin_ms: int,
    ) -> None:
        self._wire = wire
        self._shelves = shelves
        self._known = known
        self._of_venue = capabilities
        self._margin_ms = margin_ms

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """By the broker's id where it is known, by ours where the venue keeps it, else by looks."""
        try:
            return await self._looked_up(intent, rivals)
        except BrokerUnavailable as error:
            return NoAnswer(detail=str(error))

    @legible
    async def _looked_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        if intent.verb is not Verb.PLACE:
            return await self._target(intent)
        if intent.broker_order_id is not None or self._of_venue().finds_by_client_id:
            return await self._named(intent)
        return await self._by_likeness(intent, rivals)

    async def witness(self, intent: OrderIntent) -> tuple[str, ...]:
        """Ids of like orders that are there now. Raises BrokerUnavailable."""
        listed = await self._shelves.of(intent).listed(intent.order.symbol)
        return tuple(s.broker_order_id for s in like(intent, [seen.sighting for seen in listed]))

    async def became(self, change: OrderIntent) -> str | None:
        """The order that the target has become, if that one works. Raises BrokerUnavailable."""
        algo = self._shelves.algo
        if self._shelves.of(change) is not algo:
            return None
        key = algo.key_of(change.target_order_id, change.target)
        row = algo_words.algo_of((await self._ask(algo, change, key)).body)
        return None if row is None else algo_words.actual_id(row)

    def is_its(self, seen: Seen, intent: OrderIntent) -> bool:
        """Whether the order is the intent's, by shape, and by name where the venue keeps names."""
        is_named = seen.report.client_order_id == intent.client_order_id
        return seen.is_shaped_like(intent) and (is_named or not self._of_venue().finds_by_client_id)

    async def _named(self, intent: OrderIntent) -> LookUp:
        venue_ms = await self._venue_time_past(intent)
        shelf = self._shelves.of(intent)
        key = shelf.key_of(intent.broker_order_id, intent.client_order_id)
        reply = await self._ask(shelf, intent, key)
        if reply.status == 200:
            return await self._found(shelf, intent, reply)
        refusal = words.refusal_of(reply)
        if reply.status != 400 or refusal is None or refusal.code != words.NO_SUCH_ORDER:
            return NoAnswer(detail=self._wire.quote(reply))
        if venue_ms is None or intent.broker_order_id is not None:
            return Absent(conclusive=False, detail="not there yet")
        return Absent(conclusive=True, detail=f"not there at {moment(venue_ms).isoformat()}")

    async def _found(self, shelf: Shelf, intent: OrderIntent, reply: Reply) -> LookUp:
        seen = await shelf.read(reply)
        if seen is None or not seen.is_shaped_like(intent):
            return NoAnswer(detail=self._wire.quote(reply))
        number = intent.broker_order_id
        is_its = self.is_its(seen, intent) if number is None else _is(seen, number)
        return Found(report=seen.report) if is_its else NoAnswer(detail=self._wire.quote(reply))

    async def _target(self, change: OrderIntent) -> LookUp:
        """The order that a cancel or a change is about."""
        shelf, number = self._shelves.of(change), change.target_order_id
        reply = await self._ask(shelf, change, shelf.key_of(number, change.target))
        seen = await shelf.read(reply) if reply.status == 200 else None
        if seen is None or (number is not None and not _is(seen, number)):
            return NoAnswer(detail=self._wire.quote(reply))
        return Found(report=seen.report)

    async def _ask(self, shelf: Shelf, intent: OrderIntent, key: str) -> Reply:
        symbol = quote(intent.order.symbol, safe="")
        return await self._wire.ask(shelf.path, f"symbol={symbol}&{key}")

    async def _by_likeness(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        shelf = self._shelves.of(intent)
        book = [seen.sighting for seen in await shelf.listed(intent.order.symbol)]
        match = await recognise(intent, rivals, book, self._known)
        if not isinstance(match, str):
            return match
        return await self._found(
            shelf, intent, await self._ask(shelf, intent, shelf.key_of(match, None))
        )

    async def _venue_time_past(self, intent: OrderIntent) -> int | None:
        """The venue's time, asked before the look-up, if the order can't appear after it.

        None while it still may, or may for ever. Our own estimate only saves asking too early:
        what counts is the venue's fresh word, which a step of its clock can't belie.
        """
        venue = self._of_venue()
        if venue.order_class is not OrderClass.B or intent.expires_at is None:
            return None
        grace_ms = venue.visibility_lag_ms + self._margin_ms
        appears_until = intent.expires_at + timedelta(milliseconds=grace_ms)
        await self._wire.time.ready()
        if moment(self._wire.time.now_ms()) <= appears_until:
            return None
        venue_ms = await self._wire.server_time_ms()
        return venue_ms if moment(venue_ms) > appears_until else None


def _is(seen: Seen, number: str) -> bool:
    return seen.sighting.broker_order_id == number
