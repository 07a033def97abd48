"""ports.broker.Broker on the simulated venue, with the manners of the real adapters.

The venue's clock and the look-up by likeness are the real ones (brokers/); what is written here
is what brokers/binance and brokers/openalgo/adapter.py do around their wires.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar
from uuid import UUID

from onefill.brokers.likeness import KnownOrders, Sighting, like, recognise
from onefill.brokers.venue_clock import VenueClock
from onefill.core.errors import BrokerUnavailable
from onefill.core.instrument import Instrument, Series
from onefill.core.intent import OrderIntent, OrderRequest
from onefill.core.orders.report import (
    Absent,
    Found,
    LookUp,
    NoAnswer,
    NotSent,
    OrderReport,
    Outcome,
    Unknown,
)
from onefill.core.orders.stream_words import StreamWord
from onefill.core.quote import Listing, Quote
from onefill.ports.broker import Capabilities, OrderClass, Prepared
from onefill.ports.clock import Clock
from onefill.sim.protections import Protection, Without
from onefill.sim.venue import LAG_MS, Request, Venue
from onefill.sim.wire import ConnectionLost, Reply, Wire

T = TypeVar("T")

WINDOW_MS = 1_000
SEND_WITHIN_MS = 500
MARGIN_MS = 50
RESYNC_EVERY_S = 30.0
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
QUANTITY_MAX = Decimal(3)
"""What the simulated venue takes in one order."""


class Observer(Protocol):
    """Who watches what leaves."""

    def sending(self, prepared: Prepared) -> None:
        """These bytes are about to be written to the socket."""
        ...

    def hearing(self, boot: UUID, outcome: Outcome) -> None:
        """This process has heard this."""
        ...


class SimBroker:
    """One account at the simulated venue, as one process sees it."""

    name = "sim"
    account = "paper"
    is_paper = True

    def __init__(
        self,
        *,
        venue: Venue,
        wire: Wire,
        boot: UUID,
        clock: Clock,
        known: KnownOrders,
        observer: Observer,
        without: Without,
    ) -> None:
        self._venue = venue
        self._wire = wire
        self._boot = boot
        self._clock = clock
        self._known = known
        self._observer = observer
        self._without = without
        self._time = VenueClock(clock, self._ask_time_ms, RESYNC_EVERY_S)
        self.capabilities = _capabilities(venue.order_class)

    async def start(self) -> None:
        """Learn the venue's clock."""
        await self._time.sync()

    async def close(self) -> None:
        """Nothing is held."""

    # Placing -----------------------------------------------------------------------------------

    async def refuses_us(self) -> str | None:
        """It takes orders from everybody."""
        return None

    def largest(self, order: OrderRequest) -> Decimal | None:
        """So much at once; larger orders are sliced."""
        return QUANTITY_MAX

    async def prepare(self, intent: OrderIntent) -> Prepared:
        """Build and sign the next attempt, on venue time."""
        is_nameless = not self.capabilities.finds_by_client_id
        witnessed = await self._witness(intent) if is_nameless else ()
        await self._time.ready()
        unsigned = Prepared(
            intent=intent,
            attempt=intent.attempt + 1,
            method="POST",
            url="sim://venue/order",
            headers={},
            body=b"",
            signed_at=_UNIX,
            expires_at=None,
            anchored_ms=0,
            send_within_ms=SEND_WITHIN_MS,
            request_hash=b"",
            witnessed=witnessed,
        )
        return self._signed(unsigned)

    async def send(self, prepared: Prepared) -> Outcome:
        """Write the request once, if its deadline has not passed."""
        if Protection.SIGNING in self._without:
            prepared = replace(self._signed(prepared), request_hash=prepared.request_hash)
        late = self._clock.boottime_ms() > prepared.anchored_ms + prepared.send_within_ms
        if late and Protection.DEADLINE not in self._without:
            return NotSent(detail="the deadline for sending had passed")
        self._observer.sending(prepared)
        request = self._request(prepared)

        def place(reply: Reply[Outcome]) -> None:
            self._venue.place(request, reply)

        try:
            outcome = await self._wire.ask(place)
            self._observer.hearing(self._boot, outcome)
            return outcome
        except ConnectionLost:
            return Unknown(detail="no usable answer")

    def _signed(self, prepared: Prepared) -> Prepared:
        signed_at = _UNIX + timedelta(milliseconds=self._time.now_ms())
        expires_at = None
        if self.capabilities.request_expiry_ms is not None:
            expires_at = signed_at + timedelta(milliseconds=self.capabilities.request_expiry_ms)
        name = prepared.intent.client_order_id
        body = f"{name} {prepared.attempt} {signed_at.isoformat()}".encode()
        return replace(
            prepared,
            body=body,
            signed_at=signed_at,
            expires_at=expires_at,
            anchored_ms=self._clock.boottime_ms(),
            request_hash=hashlib.sha256(body).digest(),
        )

    def _request(self, prepared: Prepared) -> Request:
        order, name = prepared.intent.order, str(prepared.intent.client_order_id)
        if Protection.IDENTITY in self._without:
            name = f"{name}.{prepared.attempt}"
        return Request(
            client_order_id=name,
            attempt=prepared.attempt,
            request_hash=prepared.request_hash,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            expires_at=prepared.expires_at,
        )

    # Looking -----------------------------------------------------------------------------------

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """By the venue's number, by our id, or by looks, as the class allows."""
        try:
            if intent.broker_order_id is None and not self.capabilities.finds_by_client_id:
                return await self._by_likeness(intent, rivals)
            return await self._by_name(intent)
        except BrokerUnavailable as error:
            return NoAnswer(detail=str(error))

    async def _by_name(self, intent: OrderIntent) -> LookUp:
        venue_ms = await self._venue_time_past(intent)
        number, name = intent.broker_order_id, str(intent.client_order_id)
        venue = self._venue
        report = await self._ask(
            lambda: venue.find_number(number) if number is not None else venue.find(name)
        )
        if report is not None:
            return Found(report=report)
        is_conclusive = venue_ms is not None and number is None
        return Absent(conclusive=is_conclusive, detail="not there")

    async def _venue_time_past(self, intent: OrderIntent) -> int | None:
        """The venue's time, if the order can't appear after it (brokers/binance/looking.py)."""
        if self.capabilities.order_class is not OrderClass.B or intent.expires_at is None:
            return None
        grace_ms = LAG_MS + MARGIN_MS if Protection.LAG not in self._without else 0
        until = intent.expires_at + timedelta(milliseconds=grace_ms)
        if Protection.WAIT in self._without:
            until = _UNIX
        venue_ms = await self._ask_time_ms()
        return venue_ms if _UNIX + timedelta(milliseconds=venue_ms) > until else None

    async def _by_likeness(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        reports = await self._listed(intent.order.symbol)
        match = await recognise(intent, rivals, self._sightings(reports), self._known)
        if isinstance(match, str):
            return Found(report=next(r for r in reports if r.broker_order_id == match))
        if Protection.QUARANTINE in self._without and isinstance(match, Absent):
            return replace(match, conclusive=True)
        return match

    async def _witness(self, intent: OrderIntent) -> tuple[str, ...]:
        book = self._sightings(await self._listed(intent.order.symbol))
        return tuple(seen.broker_order_id for seen in like(intent, book))

    async def _listed(self, symbol: str) -> list[OrderReport]:
        return await self._ask(lambda: self._venue.listed(frozenset({symbol})))

    def _sightings(self, reports: Sequence[OrderReport]) -> list[Sighting]:
        return [
            Sighting(
                broker_order_id=report.broker_order_id,
                symbol=report.symbol,
                side=self._venue.side_of(report.broker_order_id).value,
                quantity=report.quantity or Decimal(0),
            )
            for report in reports
        ]

    async def watch(self, hear: Callable[[StreamWord], None]) -> None:
        """There is no stream: fills are polled for."""

    async def positions(self) -> Mapping[str, Decimal]:
        """Net quantity by symbol."""
        return await self._ask(self._venue.positions)

    async def open_orders(self) -> Sequence[OrderReport]:
        """Orders still working."""
        return self._named(await self._ask(self._venue.listed))

    async def history(self, symbols: AbstractSet[str]) -> Sequence[OrderReport]:
        """All orders of these symbols."""
        wanted = frozenset(symbols)
        return self._named(await self._ask(lambda: self._venue.listed(wanted)))

    async def series(self, instrument: Instrument) -> Sequence[Series]:
        """None: simulated worlds trade what never ends."""
        return ()

    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        """None: the simulated venue trades all at one price."""
        return {}

    def _named(self, reports: Sequence[OrderReport]) -> list[OrderReport]:
        if self.capabilities.finds_by_client_id:
            return list(reports)
        return [replace(report, client_order_id=None) for report in reports]

    async def _ask_time_ms(self) -> int:
        now = await self._ask(self._venue.now)
        return int((now - _UNIX) / timedelta(milliseconds=1))

    async def _ask(self, question: Callable[[], T]) -> T:
        try:
            return await self._wire.ask(lambda reply: reply(question()))
        except ConnectionLost as error:
            raise BrokerUnavailable("the venue did not answer") from error


def _capabilities(order_class: OrderClass) -> Capabilities:
    return Capabilities(
        order_class=order_class,
        visibility_lag_ms=LAG_MS,
        request_expiry_ms=WINDOW_MS if order_class is OrderClass.B else None,
        retention_s=86_400,
        finds_by_client_id=order_class is not OrderClass.C,
        reports_fills_on_placing=True,
        states_fills=True,
        native_reduce_only=False,
        modifications_max=None,
        definite_refusals=frozenset(),
    )
