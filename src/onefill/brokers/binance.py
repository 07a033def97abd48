"""Binance USD-M futures, and the paper venue where it speaks the same dialect.

Class B: a client order id is unique among open orders only, so the same id may execute again
once filled. Therefore nothing is sent twice before a look-up proved the first absent, and that
proof needs the venue's own clock to be past the request's expiry and the venue's lag (ORD-7).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from urllib.parse import quote

import msgspec

from onefill.brokers import binance_words as words
from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance_capabilities import capabilities_of
from onefill.brokers.binance_quotes import read_quotes
from onefill.brokers.binance_rules import (
    SymbolRules,
    complaint,
    largest,
    listing_decoder,
    rules_of,
)
from onefill.brokers.http import Http, Reply
from onefill.brokers.likeness import KnownOrders, like, nothing_known, recognise
from onefill.brokers.meter import Meter, rates_of
from onefill.brokers.outcome import Verdict, excerpt
from onefill.brokers.paper import Declaration, read_declaration
from onefill.brokers.venue_clock import VenueClock
from onefill.core.changes import is_carried_out
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import OrderIntent, OrderRequest, Verb
from onefill.core.money import ZERO
from onefill.core.quote import Listing, Quote
from onefill.core.report import (
    Absent,
    Carried,
    Found,
    LookUp,
    NoAnswer,
    NotPlaced,
    OrderReport,
    Outcome,
    Placed,
    Unknown,
)
from onefill.ports.broker import Capabilities, OrderClass, Prepared
from onefill.ports.clock import Clock
from onefill.ports.rates import RateStore

_ORDER = "/fapi/v1/order"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LISTED_MAX = 1_000
_RULES_FOR_MS = 3_600_000

_METHODS = {Verb.PLACE: "POST", Verb.MODIFY: "PUT", Verb.CANCEL: "DELETE"}

_Row = TypeVar("_Row")


class BinanceBroker:
    """One account at Binance USD-M futures in one-way mode."""

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
        self._known = known
        self._secret = account.api_secret.encode()
        self._headers = {
            "X-MBX-APIKEY": account.api_key,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._meter = Meter(f"{self.name}/{account.account}", clock, rates, words.WEIGHTS)
        self._http = Http(account.base_url, clock, account.http, self._meter)
        self._time = VenueClock(clock, self._server_time_ms, account.resync_every_s)
        self._rules: Mapping[str, SymbolRules] = {}
        self._ruled_ms = float("-inf")
        self._keeping: asyncio.Task[None] | None = None
        self._capabilities = capabilities_of(
            Declaration(OrderClass.B, account.visibility_lag_ms), account
        )

    @property
    def capabilities(self) -> Capabilities:
        """Class B with the configured lag; for the paper venue what it declared at `start`."""
        return replace(self._capabilities, order_rates=self._meter.rates.orders)

    @property
    def venue_clock(self) -> VenueClock:
        """The venue's time, as this adapter carries it."""
        return self._time

    async def start(self) -> None:
        """Learn the paper venue's class, and the venue's clock. Raises BrokerUnavailable."""
        await self._http.start()
        if self.is_paper:
            self._capabilities = capabilities_of(await read_declaration(self._http), self._login)
        await self._time.sync()
        await self._learn_rules()
        await self._check_mode()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._time.keep(), name="binance clock")

    async def close(self) -> None:
        """Let go of connections."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        await self._http.close()

    async def _learn_rules(self) -> None:
        """Read the symbols' filters, once an hour at most."""
        now_ms = self._clock.boottime_ms()
        if now_ms - self._ruled_ms < _RULES_FOR_MS:
            return
        reply = await self._ask_openly("/fapi/v1/exchangeInfo")
        listing = self._read(reply, listing_decoder)
        self._rules = rules_of(listing)
        self._meter.rates = rates_of(listing.rate_limits)
        self._ruled_ms = now_ms

    async def _check_mode(self) -> None:
        """Refuse hedge mode: there each side is a position of its own, and none is ever net."""
        reply = await self._ask_signed("/fapi/v1/positionSide/dual", "")
        if self._read(reply, words.mode_decoder).dual_side_position:
            raise BrokerUnavailable(
                "the account is in hedge mode",
                remedy="Switch it to one-way mode at Binance (flat, without open orders).",
                account=self.account,
            )

    # Placing

    def largest(self, order: OrderRequest) -> Decimal | None:
        """By the symbol's filters."""
        return largest(order, self._rules)

    async def prepare(self, intent: OrderIntent) -> Prepared:
        """Build and sign the intent's next attempt, on venue time. Raises BrokerUnavailable."""
        is_new = intent.verb is Verb.PLACE
        is_lost = is_new and not self._capabilities.finds_by_client_id
        witnessed = await self._witness(intent) if is_lost else ()
        await self._time.ready()
        anchored_ms = self._clock.boottime_ms()
        signed_at_ms = self._time.now_ms()
        parameters = words.place_parameters if is_new else words.change_parameters
        body = self._signed(parameters(intent, self._login.recv_window_ms, signed_at_ms)).encode()
        method = _METHODS[intent.verb]
        url = self._http.base_url + _ORDER
        expiry_ms = self._capabilities.request_expiry_ms
        return Prepared(
            intent=intent,
            attempt=intent.attempt + 1,
            method=method,
            url=url,
            headers=self._headers,
            body=body,
            signed_at=_moment(signed_at_ms),
            expires_at=_moment(signed_at_ms + expiry_ms) if expiry_ms is not None else None,
            anchored_ms=anchored_ms,
            send_within_ms=self._login.send_within_ms,
            request_hash=hashlib.sha256(f"{method} {url}\n".encode() + body).digest(),
            witnessed=witnessed,
            order_rates=self._meter.rates.orders,
            refusal=None if intent.verb is Verb.CANCEL else complaint(intent.order, self._rules),
        )

    async def send(self, prepared: Prepared) -> Outcome:
        """Write the request once and say what the answer proves."""
        if prepared.refusal is not None:
            return NotPlaced(code="filters", message=prepared.refusal)
        reply = await self._http.send_once(prepared)
        if not isinstance(reply, Reply):
            return reply
        if prepared.intent.verb is not Verb.PLACE:
            return await self._changed(prepared.intent, reply)
        if reply.status == 200:
            return self._accepted(prepared.intent, reply)
        found = words.rule_of(reply)
        if found is None:
            return Unknown(detail=self._quote(reply))
        rule, refusal = found
        no = NotPlaced(
            code=str(refusal.code),
            message=refusal.msg,
            retry=rule.verdict is not Verdict.REFUSED,
        )
        if rule.verdict is Verdict.RESYNC:
            self._time.doubt()
        if rule.verdict in (Verdict.LOOK_FIRST, Verdict.EXISTS):
            return await self._looked_up(prepared.intent, no, rule.verdict)
        return no

    def _accepted(self, intent: OrderIntent, reply: Reply) -> Outcome:
        row = words.order_of(reply.body)
        if row is None or not words.is_shaped_like(row, intent) or not self._is_named(row, intent):
            return Unknown(detail=self._quote(reply))
        return Placed(report=words.report_of(row))

    async def _changed(self, change: OrderIntent, reply: Reply) -> Outcome:
        """What became of a cancel or a change. Whatever the answer says, the order shows it."""
        seen = await self.look_up(change, ())
        if isinstance(seen, Found) and is_carried_out(change, seen.report):
            return Carried(report=seen.report)
        found = words.rule_of(reply)
        if found is None or not isinstance(seen, Found):
            return Unknown(detail=self._quote(reply))
        rule, refusal = found
        if rule.verdict is Verdict.RESYNC:
            self._time.doubt()
        retry = rule.verdict is not Verdict.REFUSED
        return NotPlaced(code=str(refusal.code), message=refusal.msg, retry=retry)

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

    # Looking

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """By the broker's id where it is known, by ours where the venue keeps it, else by looks."""
        try:
            if intent.verb is not Verb.PLACE:
                return await self._target(intent)
            if intent.broker_order_id is not None:
                return await self._one(intent, f"orderId={quote(intent.broker_order_id, safe='')}")
            if self._capabilities.finds_by_client_id:
                return await self._one(intent, f"origClientOrderId={intent.client_order_id}")
            return await self._by_likeness(intent, rivals)
        except BrokerUnavailable as error:
            return NoAnswer(detail=str(error))

    async def positions(self) -> Mapping[str, Decimal]:
        """Net quantity by symbol, signed; only what is not flat. Raises BrokerUnavailable."""
        await self._learn_rules()
        reply = await self._ask_signed("/fapi/v3/positionRisk", "")
        net: dict[str, Decimal] = {}
        for row in self._read(reply, words.positions_decoder):
            net[row.symbol] = net.get(row.symbol, ZERO) + row.position_amt
        return {symbol: quantity for symbol, quantity in net.items() if quantity != 0}

    async def open_orders(self) -> Sequence[OrderReport]:
        """Orders still working. Raises BrokerUnavailable."""
        rows = self._read(await self._ask_signed("/fapi/v1/openOrders", ""), words.orders_decoder)
        return [words.report_of(row) for row in rows if words.is_sound(row)]

    async def history(self, symbols: AbstractSet[str]) -> Sequence[OrderReport]:
        """The latest orders of these symbols. Raises BrokerUnavailable."""
        rows = [row for symbol in sorted(symbols) for row in await self._listed(symbol)]
        return [words.report_of(row) for row in rows]

    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        """The market by symbol. Raises BrokerUnavailable."""
        return await read_quotes(self._ask_openly, listings, self._clock.wall())

    async def _one(self, intent: OrderIntent, key: str) -> LookUp:
        venue_ms = await self._venue_time_past(intent)
        symbol = quote(intent.order.symbol, safe="")
        reply = await self._ask_signed(_ORDER, f"symbol={symbol}&{key}")
        if reply.status == 200:
            return self._found(intent, reply)
        refusal = words.refusal_of(reply)
        if reply.status != 400 or refusal is None or refusal.code != words.NO_SUCH_ORDER:
            return NoAnswer(detail=self._quote(reply))
        if venue_ms is None or intent.broker_order_id is not None:
            return Absent(conclusive=False, detail="not there yet")
        return Absent(conclusive=True, detail=f"not there at {_moment(venue_ms).isoformat()}")

    async def _target(self, change: OrderIntent) -> LookUp:
        """The order that a cancel or a change is about."""
        symbol = quote(change.order.symbol, safe="")
        reply = await self._ask_signed(_ORDER, f"symbol={symbol}&{words.key_of(change)}")
        row = words.order_of(reply.body) if reply.status == 200 else None
        if row is None or change.target_order_id not in (None, str(row.order_id)):
            return NoAnswer(detail=self._quote(reply))
        return Found(report=words.report_of(row))

    def _found(self, intent: OrderIntent, reply: Reply) -> LookUp:
        row = words.order_of(reply.body)
        if row is None or not words.is_shaped_like(row, intent):
            return NoAnswer(detail=self._quote(reply))
        if intent.broker_order_id not in (None, str(row.order_id)):
            return NoAnswer(detail=self._quote(reply))
        if intent.broker_order_id is None and not self._is_named(row, intent):
            return NoAnswer(detail=self._quote(reply))
        return Found(report=words.report_of(row))

    async def _venue_time_past(self, intent: OrderIntent) -> int | None:
        """The venue's time, asked before the look-up, if the order can't appear after it.

        None while it still may, or may for ever. Our own estimate only saves asking too early:
        what counts is the venue's fresh word, which a step of its clock can't belie.
        """
        if self._capabilities.order_class is not OrderClass.B or intent.expires_at is None:
            return None
        grace_ms = self._capabilities.visibility_lag_ms + self._login.margin_ms
        appears_until = intent.expires_at + timedelta(milliseconds=grace_ms)
        await self._time.ready()
        if _moment(self._time.now_ms()) <= appears_until:
            return None
        venue_ms = await self._server_time_ms()
        return venue_ms if _moment(venue_ms) > appears_until else None

    async def _by_likeness(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        rows = await self._listed(intent.order.symbol)
        book = [words.sighting_of(row) for row in rows]
        match = await recognise(intent, rivals, book, self._known)
        if not isinstance(match, str):
            return match
        row = next(row for row in rows if str(row.order_id) == match)
        return Found(report=words.report_of(row))

    async def _witness(self, intent: OrderIntent) -> tuple[str, ...]:
        book = [words.sighting_of(row) for row in await self._listed(intent.order.symbol)]
        return tuple(seen.broker_order_id for seen in like(intent, book))

    async def _listed(self, symbol: str) -> list[words.OrderRow]:
        """The symbol's latest orders; none of a symbol that there is not."""
        asked = f"symbol={quote(symbol, safe='')}&limit={_LISTED_MAX}"
        reply = await self._ask_signed("/fapi/v1/allOrders", asked)
        refusal = words.refusal_of(reply) if reply.status == 400 else None
        if refusal is not None and refusal.code == words.NO_SUCH_SYMBOL:
            return []
        return [row for row in self._read(reply, words.orders_decoder) if words.is_sound(row)]

    # The wire

    async def _ask_signed(self, path: str, parameters: str) -> Reply:
        """A signed question; asked once more when it was refused for its time stamp."""
        reply = await self._asked(path, parameters)
        refusal = words.refusal_of(reply) if reply.status == 400 else None
        if refusal is not None and refusal.code in words.OUTSIDE_WINDOW:
            self._time.doubt()
            reply = await self._asked(path, parameters)
        return reply

    async def _asked(self, path: str, parameters: str) -> Reply:
        await self._time.ready()
        stamp = f"recvWindow={self._login.recv_window_ms}&timestamp={self._time.now_ms()}"
        query = self._signed(f"{parameters}&{stamp}" if parameters else stamp)
        return await self._http.ask("GET", f"{path}?{query}", self._headers)

    async def _ask_openly(self, target: str) -> Reply:
        return await self._http.ask("GET", target, {})

    async def _server_time_ms(self) -> int:
        return self._read(await self._ask_openly("/fapi/v1/time"), words.time_decoder).server_time

    def _signed(self, parameters: str) -> str:
        signature = hmac.digest(self._secret, parameters.encode(), "sha256").hex()
        return f"{parameters}&signature={signature}"

    def _read(self, reply: Reply, decoder: msgspec.json.Decoder[_Row]) -> _Row:
        if reply.status == 200:
            with contextlib.suppress(msgspec.DecodeError, ValueError, ArithmeticError):
                return decoder.decode(reply.body)
        raise BrokerUnavailable(broker=self.name, account=self.account, said=self._quote(reply))

    def _is_named(self, row: words.OrderRow, intent: OrderIntent) -> bool:
        """Whether the order carries the intent's id, where the venue passes ids on."""
        passes_on = self._capabilities.finds_by_client_id
        return not passes_on or row.client_order_id == intent.client_order_id

    def _quote(self, reply: Reply) -> str:
        return excerpt(reply, self._login.api_key, self._login.api_secret)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
