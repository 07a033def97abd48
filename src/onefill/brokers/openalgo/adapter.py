"""OpenAlgo: one interface to more than twenty Indian brokers, and the paper venue's dialect of it.

Class C: nothing identifies an order but the id that the broker gives it. Our id travels as
`strategy`, which real servers may drop, so that nothing relies on it. Before each order the book
is read, so that a lost answer can be traced to the one order that was not there before (ORD-7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal

import msgspec
import structlog

from onefill.brokers.accounts import OpenAlgoAccount
from onefill.brokers.http import Http, Reply
from onefill.brokers.likeness import KnownOrders, like, nothing_known, recognise
from onefill.brokers.meter import Meter
from onefill.brokers.openalgo import words
from onefill.brokers.openalgo.capabilities import capabilities_of
from onefill.brokers.openalgo.checks import (
    margin_lacking,
    may_lack_margin,
    must_be_held,
    nothing_to_reduce,
)
from onefill.brokers.openalgo.listing import read_series
from onefill.brokers.openalgo.units import REMEDY, UnitConverter
from onefill.brokers.outcome import Verdict, excerpt, legible
from onefill.brokers.paper import read_declaration
from onefill.core.errors import BrokerUnavailable
from onefill.core.instrument import Instrument, Series
from onefill.core.intent import Denial, OrderIntent, OrderRequest, Verb
from onefill.core.money import ZERO, plain
from onefill.core.orders.changes import is_carried_out
from onefill.core.orders.rates import Urgency
from onefill.core.orders.report import (
    Absent,
    Carried,
    Found,
    LookUp,
    NoAnswer,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.orders.stream_words import StreamWord
from onefill.core.quote import Listing, Quote
from onefill.ports.broker import Capabilities, Prepared
from onefill.ports.clock import Clock
from onefill.ports.rates import RateStore, urgently

_SERVICES = {
    Verb.PLACE: "/api/v1/placeorder",
    Verb.MODIFY: "/api/v1/modifyorder",
    Verb.CANCEL: "/api/v1/cancelorder",
}
_HEADERS = {"Content-Type": "application/json"}
_ASK_MARGIN_AGAIN_MS = 600_000
_ASKER = "onefill"
"""`strategy` where a question needs one, though it is about no order."""

log = structlog.get_logger()


class OpenAlgoBroker:
    """One account behind one OpenAlgo server."""

    name = "openalgo"

    def __init__(
        self,
        account: OpenAlgoAccount,
        clock: Clock,
        known: KnownOrders = nothing_known,
        rates: RateStore | None = None,
    ) -> None:
        self.account = account.account
        self.is_paper = not account.live
        self._login = account
        self._clock = clock
        self._known = known
        self._units = UnitConverter(account)
        self._no_margin_until_ms = float("-inf")
        self._meter = Meter(f"{self.name}/{account.account}", clock, rates)
        self._meter.rates = account.rates
        self._http = Http(
            account.base_url,
            clock,
            account.http,
            self._meter,
            source_address=account.source_address,
        )
        self._capabilities = capabilities_of(account.visibility_lag_ms, account.rates)

    @property
    def capabilities(self) -> Capabilities:
        """Class C always; the lag is the paper venue's own, once started; fills as it shows."""
        return self._capabilities

    @legible
    async def start(self) -> None:
        """Learn the paper venue's lag, and that the key is good. Raises BrokerUnavailable."""
        await self._http.start()
        if self.is_paper:
            declared = await read_declaration(self._http)
            self._meter.rates = declared.rates
            self._capabilities = capabilities_of(declared.lag_ms, declared.rates)
        await self._ask("funds")

    @legible
    async def refuses_us(self) -> str | None:
        """Its own words where it takes neither our key, nor our address, nor the day's session."""
        await self._http.start()
        reply = await self._post("funds")
        if words.data_of(reply) is not None:
            return None
        if reply.status in (401, 403):
            return self._quote(reply)
        raise self._unreadable(reply)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    # Placing

    def largest(self, order: OrderRequest) -> Decimal | None:
        """It does not say; the instrument's configuration does."""
        return None

    @legible
    async def prepare(self, intent: OrderIntent) -> Prepared:
        """Read which like orders are there already, and build the request.

        Raises BrokerUnavailable, and ConfigurationError for an MCX symbol of unknown size.
        """
        if intent.verb is not Verb.CANCEL:
            order = intent.order
            await self._know_units({(order.symbol, order.exchange)}, to_order=True)
        body = msgspec.json.encode(self._fields(intent))
        witnessed = await self._witness(intent) if intent.verb is Verb.PLACE else ()
        refusal = None
        if must_be_held(intent):
            refusal = nothing_to_reduce(intent, await self.positions())
        elif may_lack_margin(intent):
            refusal = await self._lacks_margin(intent)
        url = self._http.base_url + _SERVICES[intent.verb]
        return Prepared(
            intent=intent,
            attempt=intent.attempt + 1,
            method="POST",
            url=url,
            headers=_HEADERS,
            body=body,
            signed_at=self._clock.wall(),
            expires_at=None,
            anchored_ms=self._clock.boottime_ms(),
            send_within_ms=self._login.send_within_ms,
            request_hash=hashlib.sha256(b"POST " + url.encode() + b"\n" + body).digest(),
            witnessed=witnessed,
            refusal=refusal,
            order_rates=self._capabilities.order_rates,
        )

    async def send(self, prepared: Prepared) -> Outcome:
        """Write the request once and say what the answer proves."""
        if prepared.refusal is not None:
            denial = Denial.NOTHING_TO_REDUCE if must_be_held(prepared.intent) else None
            return NotPlaced(code="checked", message=prepared.refusal, denial=denial)
        reply = await self._http.send_once(prepared)
        if not isinstance(reply, Reply):
            return reply
        try:
            return await self._concluded(prepared.intent, reply)
        except BrokerUnavailable as error:
            return Unknown(detail=str(error))

    @legible
    async def _concluded(self, intent: OrderIntent, reply: Reply) -> Outcome:
        if intent.verb is not Verb.PLACE:
            return await self._changed(intent, reply)
        order_id = words.placed_id(reply)
        if order_id is not None:
            symbol = intent.order.symbol
            return Placed(
                report=OrderReport(broker_order_id=order_id, status=OrderStatus.OPEN, symbol=symbol)
            )
        found = words.rule_of(reply)
        if found is None:
            return Unknown(detail=self._quote(reply))
        rule, message = found
        retry = rule.verdict is not Verdict.REFUSED
        return NotPlaced(code=f"HTTP {reply.status}", message=message, retry=retry)

    async def _changed(self, change: OrderIntent, reply: Reply) -> Outcome:
        """What became of a cancel or a change: brokers behind it do it later than they say so."""
        seen = await self.look_up(change, ())
        if isinstance(seen, Found) and is_carried_out(change, seen.report):
            return Carried(report=seen.report)
        return Unknown(detail=self._quote(reply))

    async def _lacks_margin(self, intent: OrderIntent) -> str | None:
        """Why the broker would refuse it for want of margin, where it says so in time."""
        now_ms = self._clock.boottime_ms()
        if now_ms < self._no_margin_until_ms:
            return None
        wanted = words.margin_position(self._place_fields(intent))
        try:
            with urgently(Urgency.LATER):
                needed = words.margin_in(words.data_of(await self._post("margin", **wanted)))
                if needed is None:  # not every broker behind it can tell
                    self._no_margin_until_ms = now_ms + _ASK_MARGIN_AGAIN_MS
                    return None
                available = words.cash_in(words.data_of(await self._post("funds")))
                if available is None or needed <= available:
                    return None
                return margin_lacking(intent, await self.positions(), needed, available)
        except BrokerUnavailable:
            return None  # the broker has the last word; no order waits for this one

    async def _witness(self, intent: OrderIntent) -> tuple[str, ...]:
        book = [row.sighting for row in await self._order_book()]
        return tuple(seen.broker_order_id for seen in like(intent, book))

    def _fields(self, intent: OrderIntent) -> dict[str, str]:
        """What the service of the intent's verb asks for."""
        named = {"orderid": intent.target_order_id or "", "strategy": _ASKER}
        if intent.verb is Verb.CANCEL:
            return {"apikey": self._login.api_key, **named}
        fields = self._place_fields(intent)
        return fields if intent.verb is Verb.PLACE else {**fields, **named}

    def _place_fields(self, intent: OrderIntent) -> dict[str, str]:
        order = intent.order
        quantity = self._units.to_wire(order.quantity, order.symbol, order.exchange)
        return {
            "apikey": self._login.api_key,
            "strategy": intent.client_order_id,
            "exchange": order.exchange,
            "symbol": order.symbol,
            "action": order.side.value,
            "product": self._login.product,
            "pricetype": words.price_type(order.order_type),
            "quantity": plain(quantity),
            "price": plain(order.price) if order.price is not None else "0",
            "trigger_price": plain(order.trigger_price or ZERO),
            "disclosed_quantity": "0",
        }

    # Looking

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """By the broker's id where it is known; else the only new order that looks like it."""
        try:
            return await self._looked_up(intent, rivals)
        except BrokerUnavailable as error:
            return NoAnswer(detail=str(error))

    @legible
    async def _looked_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        number = intent.broker_order_id if intent.verb is Verb.PLACE else intent.target_order_id
        if number is not None:
            return await self._by_id(number)
        rows = await self._order_book()
        book = [row.sighting for row in rows]
        match = await recognise(intent, rivals, book, self._known)
        if not isinstance(match, str):
            return match
        row = next(row for row in rows if row.broker_order_id == match)
        return Found(report=await self._report(row))

    async def watch(self, hear: Callable[[StreamWord], None]) -> None:
        """There is no stream: fills are polled for."""

    @legible
    async def positions(self) -> Mapping[str, Decimal]:
        """Net units by symbol, signed; only what is not flat. Raises BrokerUnavailable."""
        reply = await self._ask("positionbook")
        await self._know_units(words.symbols_in(words.data_of(reply)))
        net = words.positions_of(words.data_of(reply), self._units)
        if net is None:
            raise self._unreadable(reply)
        return net

    @legible
    async def open_orders(self) -> Sequence[OrderReport]:
        """Orders still working. Raises BrokerUnavailable."""
        working = [row for row in await self._order_book() if row.status is OrderStatus.OPEN]
        return [words.report_of(row, None) for row in working]

    @legible
    async def history(self, symbols: AbstractSet[str]) -> Sequence[OrderReport]:
        """Today's orders of these symbols. Raises BrokerUnavailable."""
        mine = [row for row in await self._order_book() if row.symbol in symbols]
        trades = words.data_of(await self._ask("tradebook")) if mine else []
        await self._know_units(words.symbols_in(trades))
        return [
            words.report_of(row, words.traded(trades, row.broker_order_id, self._units))
            for row in mine
        ]

    @legible
    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        """The market by symbol, asked one by one. Raises BrokerUnavailable."""
        found = {each.symbol: await self._quote_of(each) for each in dict.fromkeys(listings)}
        return {symbol: quote for symbol, quote in found.items() if quote is not None}

    @legible
    async def series(self, instrument: Instrument) -> Sequence[Series]:
        """What its broker's master list has of it. Raises BrokerUnavailable."""
        now_ms = self._clock.boottime_ms()
        return await read_series(self._post, instrument, self._units, self._unreadable, now_ms)

    async def _quote_of(self, listing: Listing) -> Quote | None:
        at = self._clock.wall()
        reply = await self._post("quotes", symbol=listing.symbol, exchange=listing.exchange)
        if words.is_unlisted(reply):
            return None
        data = words.data_of(reply)
        if not isinstance(data, dict):
            raise self._unreadable(reply)
        return words.quote_in(data, at)

    async def _by_id(self, broker_order_id: str) -> LookUp:
        reply = await self._post("orderstatus", strategy=_ASKER, orderid=broker_order_id)
        await self._know_units(words.symbols_in(words.data_of(reply)))
        row = words.row_of(words.data_of(reply), self._units)
        if row is not None and row.broker_order_id == broker_order_id:
            self._note_fills([row])
            return Found(report=await self._report(row))
        if reply.status == 404:
            return Absent(conclusive=False, detail=self._quote(reply))
        return NoAnswer(detail=self._quote(reply))

    async def _report(self, row: words.Row) -> OrderReport:
        """The order with its fills, which the trade book knows best."""
        if row.status is OrderStatus.REJECTED:
            return words.report_of(row, None)
        if row.status is OrderStatus.OPEN and not row.filled_quantity:
            return words.report_of(row, None)
        reply = await self._ask("tradebook")
        await self._know_units(words.symbols_in(words.data_of(reply)))
        trades = words.traded(words.data_of(reply), row.broker_order_id, self._units)
        return words.report_of(row, trades)

    async def _order_book(self) -> list[words.Row]:
        reply = await self._ask("orderbook")
        await self._know_units(words.symbols_in(words.data_of(reply)))
        rows = words.rows_of(words.data_of(reply), self._units)
        if rows is None:
            raise self._unreadable(reply)
        self._note_fills(rows)
        return rows

    def _note_fills(self, rows: Sequence[words.Row]) -> None:
        """Some brokers behind it never say how much is filled; one such row tells."""
        if any(row.filled_quantity is None for row in rows):
            self._capabilities = replace(self._capabilities, states_fills=False)

    async def _know_units(
        self, listings: AbstractSet[tuple[str, str]], *, to_order: bool = False
    ) -> None:
        """Know what the server counts these in. Raises BrokerUnavailable where it can't be told."""
        for symbol, exchange in sorted(listings):
            now_ms = self._clock.boottime_ms()
            if self._units.is_asked_for(symbol, exchange, now_ms, to_order=to_order):
                reply = await self._post("symbol", symbol=symbol, exchange=exchange)
                if reply.status not in (200, 400, 404):
                    raise self._unreadable(reply)
                self._units.note(symbol, words.lot_size_in(words.data_of(reply)), now_ms)
            complaint = self._units.complaint(symbol, exchange)
            if complaint is not None:
                log.critical("openalgo.units_not_told", account=self.account, why=complaint)
                raise BrokerUnavailable(complaint, remedy=REMEDY, account=self.account)

    # The wire

    async def _ask(self, service: str) -> Reply:
        reply = await self._post(service)
        if words.data_of(reply) is None:
            raise self._unreadable(reply)
        return reply

    async def _post(self, service: str, **fields: object) -> Reply:
        body = msgspec.json.encode({"apikey": self._login.api_key, **fields})
        return await self._http.ask("POST", f"/api/v1/{service}", _HEADERS, body)

    def _unreadable(self, reply: Reply) -> BrokerUnavailable:
        return BrokerUnavailable(broker=self.name, account=self.account, said=self._quote(reply))

    def _quote(self, reply: Reply) -> str:
        return excerpt(reply, self._login.api_key)
