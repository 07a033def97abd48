"""One account at Binance USD-M futures as a `Broker`.

Class B: a client order id is unique among open orders only, so the same id may execute again
once filled. Therefore nothing is sent twice before a look-up proved the first absent, and that
proof needs the venue's own clock to be past the request's expiry and the venue's lag (ORD-7).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import quote

from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import words
from onefill.brokers.binance.capabilities import capabilities_of
from onefill.brokers.binance.looking import Looker, moment
from onefill.brokers.binance.prechecks import Prechecks
from onefill.brokers.binance.quotes import read_quotes
from onefill.brokers.binance.rules import (
    SymbolRules,
    complaint,
    largest,
    listing_decoder,
    rules_of,
)
from onefill.brokers.binance.shelves import ORDER, Shelves
from onefill.brokers.binance.stream import UserStream
from onefill.brokers.binance.terms import read_mode, set_terms
from onefill.brokers.binance.wire import Wire
from onefill.brokers.http import Reply
from onefill.brokers.likeness import KnownOrders, nothing_known
from onefill.brokers.meter import Meter, rates_of
from onefill.brokers.outcome import Verdict, is_sane, legible
from onefill.brokers.paper import Declaration, read_declaration
from onefill.brokers.venue_clock import VenueClock
from onefill.core.errors import BrokerUnavailable
from onefill.core.instrument import Instrument, Series
from onefill.core.intent import OrderIntent, OrderRequest, Verb
from onefill.core.money import ZERO
from onefill.core.orders.changes import is_carried_out
from onefill.core.orders.report import (
    Absent,
    Carried,
    Found,
    LookUp,
    NotPlaced,
    OrderReport,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.orders.stream_words import StreamWord
from onefill.core.quote import Listing, Quote
from onefill.ports.broker import Capabilities, OrderClass, Prepared
from onefill.ports.clock import Clock
from onefill.ports.rates import RateStore

_RULES_FOR_MS = 3_600_000
_METHODS = {Verb.PLACE: "POST", Verb.MODIFY: "PUT", Verb.CANCEL: "DELETE"}
_UNCHANGEABLE = "Binance changes no conditional order: cancel it, and place another"


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a request goes, what it says, and why it need not be sent at all."""

    path: str
    parameters: str
    refusal: str | None = None


class BinanceBroker:
    """One account at Binance USD-M futures, in one-way or in hedge mode."""

    name = "binance"

    def __init__(
        self,
        account: BinanceAccount,
        clock: Clock,
        known: KnownOrders = nothing_known,
        rates: RateStore | None = None,
    ) -> None:
        self.account = account.account
        self.is_paper = not account.live
        self._login = account
        self._clock = clock
        self._meter = Meter(f"{self.name}/{account.account}", clock, rates, words.WEIGHTS)
        self._wire = Wire(account, clock, self._meter)
        self._shelves = Shelves(self._wire)
        self._looker = Looker(
            self._wire, self._shelves, known, lambda: self._capabilities, account.margin_ms
        )
        self._prechecks = Prechecks(self._wire, clock)
        self._stream = UserStream(self._wire, account, clock)
        self._rules: Mapping[str, SymbolRules] = {}
        self._ruled_ms = float("-inf")
        self._is_mode_known = False
        self._keeping: asyncio.Task[None] | None = None
        self._capabilities = capabilities_of(
            Declaration(OrderClass.B, account.visibility_lag_ms), account
        )

    @property
    def capabilities(self) -> Capabilities:
        """Class B with the configured lag; for the paper venue what it declared at `start`."""
        rates, hedged = self._meter.rates.orders, self._wire.hedged
        return replace(self._capabilities, order_rates=rates, hedged=hedged)

    @property
    def venue_clock(self) -> VenueClock:
        """The venue's time, as this adapter carries it."""
        return self._wire.time

    @legible
    async def start(self) -> None:
        """Learn the paper venue's class, and the venue's clock. Raises BrokerUnavailable."""
        http = self._wire.http
        await http.start()
        if self.is_paper:
            self._capabilities = capabilities_of(await read_declaration(http), self._login)
        await self._wire.time.sync()
        await self._learn_rules()
        await self._know_mode()
        await set_terms(self._wire, self._login.symbols)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._wire.time.keep(), name="binance clock")

    @legible
    async def refuses_us(self) -> str | None:
        """Its own words where it takes neither our key, nor our address, nor lets us trade."""
        await self._wire.http.start()
        reply = await self._wire.ask("/fapi/v3/balance")
        if reply.status == 200:
            return None
        refusal = words.refusal_of(reply)
        if refusal is not None and refusal.code in words.NOT_LET_IN:
            return self._wire.quote(reply)
        raise BrokerUnavailable(
            broker=self.name, account=self.account, said=self._wire.quote(reply)
        )

    async def close(self) -> None:
        """Let go of connections."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        await self._wire.http.close()

    async def _learn_rules(self) -> None:
        """Read the symbols' filters, once an hour at most."""
        now_ms = self._clock.boottime_ms()
        if now_ms - self._ruled_ms < _RULES_FOR_MS:
            return
        reply = await self._wire.ask_openly("/fapi/v1/exchangeInfo")
        listing = self._wire.read(reply, listing_decoder)
        self._rules = rules_of(listing)
        self._meter.rates = rates_of(listing.rate_limits)
        self._ruled_ms = now_ms

    async def _know_mode(self) -> None:
        """Read the position mode, once and whenever an order was refused for it."""
        if not self._is_mode_known:
            self._wire.hedged = await read_mode(self._wire)
            self._is_mode_known = True

    # Placing

    def largest(self, order: OrderRequest) -> Decimal | None:
        """By the symbol's filters."""
        return largest(order, self._rules)

    @legible
    async def prepare(self, intent: OrderIntent) -> Prepared:
        """Build and sign the intent's next attempt, on venue time. Raises BrokerUnavailable."""
        await self._know_mode()
        is_new = intent.verb is Verb.PLACE
        is_lost = is_new and not self._capabilities.finds_by_client_id
        witnessed = await self._looker.witness(intent) if is_lost else ()
        address = await self._address(intent)
        await self._wire.time.ready()
        anchored_ms = self._clock.boottime_ms()
        signed_at_ms = self._wire.time.now_ms()
        body = self._wire.signed(address.parameters, signed_at_ms).encode()
        method, url = _METHODS[intent.verb], self._wire.http.base_url + address.path
        expiry_ms = self._capabilities.request_expiry_ms
        return Prepared(
            intent=intent,
            attempt=intent.attempt + 1,
            method=method,
            url=url,
            headers=self._wire.headers,
            body=body,
            signed_at=moment(signed_at_ms),
            expires_at=moment(signed_at_ms + expiry_ms) if expiry_ms is not None else None,
            anchored_ms=anchored_ms,
            send_within_ms=self._login.send_within_ms,
            request_hash=hashlib.sha256(f"{method} {url}\n".encode() + body).digest(),
            witnessed=witnessed,
            order_rates=self._meter.rates.orders,
            refusal=address.refusal,
        )

    async def _address(self, intent: OrderIntent) -> _Address:
        shelf, order = self._shelves.of(intent), intent.order
        refusal = None
        if intent.verb is not Verb.CANCEL:
            rules = self._rules.get(order.symbol)
            refusal = complaint(order, self._rules)
            refusal = refusal or await self._prechecks.complaint(intent, rules)
        if intent.verb is Verb.PLACE:
            return _Address(shelf.path, shelf.place_parameters(intent), refusal)
        symbol = f"symbol={quote(order.symbol, safe='')}"
        key = shelf.key_of(intent.target_order_id, intent.target)
        if intent.verb is Verb.MODIFY:
            if order.order_type.is_conditional:
                refusal = _UNCHANGEABLE
            return _Address(shelf.path, f"{symbol}&{key}{words.new_values(order)}", refusal)
        became = await self._looker.became(intent)
        if became is not None:
            return _Address(ORDER, f"{symbol}&orderId={became}")
        return _Address(shelf.path, f"{symbol}&{key}")

    async def send(self, prepared: Prepared) -> Outcome:
        """Write the request once and say what the answer proves."""
        if prepared.refusal is not None:
            return NotPlaced(code="filters", message=prepared.refusal)
        reply = await self._wire.http.send_once(prepared)
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
        if reply.status == 200:
            return await self._accepted(intent, reply)
        found = words.rule_of(reply)
        if found is None:
            return Unknown(detail=self._wire.quote(reply))
        rule, refusal = found
        no = words.refused(rule, refusal)
        if refusal.code == words.OTHER_MODE:
            self._is_mode_known = False
        if rule.verdict is Verdict.RESYNC:
            self._wire.time.doubt()
        if rule.verdict in (Verdict.LOOK_FIRST, Verdict.EXISTS):
            return await self._looked_up(intent, no, rule.verdict)
        return no

    async def _accepted(self, intent: OrderIntent, reply: Reply) -> Outcome:
        seen = await self._shelves.of(intent).read(reply)
        if seen is None or not self._looker.is_its(seen, intent):
            return Unknown(detail=self._wire.quote(reply))
        return Placed(report=seen.report)

    async def _changed(self, change: OrderIntent, reply: Reply) -> Outcome:
        """What became of a cancel or a change. Whatever the answer says, the order shows it."""
        seen = await self.look_up(change, ())
        if isinstance(seen, Found) and is_carried_out(change, seen.report):
            return Carried(report=seen.report)
        found = words.rule_of(reply)
        if found is None or not isinstance(seen, Found):
            return Unknown(detail=self._wire.quote(reply))
        rule, refusal = found
        if rule.verdict is Verdict.RESYNC:
            self._wire.time.doubt()
        return words.refused(rule, refusal)

    async def _looked_up(self, intent: OrderIntent, no: NotPlaced, verdict: Verdict) -> Outcome:
        """What a look-up makes of an answer that must not be believed by itself."""
        if not self._capabilities.finds_by_client_id:
            return Unknown(detail=f"{no.code} {no.message}")
        seen = await self.look_up(intent, ())
        if isinstance(seen, Found):
            return Placed(report=seen.report)
        if isinstance(seen, Absent) and verdict is Verdict.LOOK_FIRST:
            return no
        return Unknown(detail=f"{no.code} {no.message}; then: {seen.detail}")

    # Listening

    async def watch(self, hear: Callable[[StreamWord], None]) -> None:
        """Say what the user stream says until cancelled; it is made again when it breaks."""
        await self._stream.run(hear, passes_ids_on=self._capabilities.finds_by_client_id)

    # Looking

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """By the broker's id where it is known, by ours where the venue keeps it, else by looks."""
        return await self._looker.look_up(intent, rivals)

    @legible
    async def positions(self) -> Mapping[str, Decimal]:
        """Net quantity by symbol, signed; only what is not flat. Raises BrokerUnavailable."""
        await self._learn_rules()
        reply = await self._wire.ask("/fapi/v3/positionRisk")
        net: dict[str, Decimal] = {}
        for row in self._wire.read(reply, words.positions_decoder):
            if not is_sane(row.position_amt):
                raise BrokerUnavailable(broker=self.name, said=self._wire.quote(reply))
            net[row.symbol] = net.get(row.symbol, ZERO) + row.position_amt
        return {symbol: quantity for symbol, quantity in net.items() if quantity != 0}

    @legible
    async def open_orders(self) -> Sequence[OrderReport]:
        """Orders still working, and those that wait. Raises BrokerUnavailable."""
        return await self._shelves.open()

    @legible
    async def history(self, symbols: AbstractSet[str]) -> Sequence[OrderReport]:
        """The latest orders of these symbols. Raises BrokerUnavailable."""
        return await self._shelves.history(symbols)

    async def series(self, instrument: Instrument) -> Sequence[Series]:
        """None: what is traded here never ends."""
        return ()

    @legible
    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        """The market by symbol. Raises BrokerUnavailable."""
        return await read_quotes(self._wire.ask_openly, listings, self._clock.wall())
