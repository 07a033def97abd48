"""What Binance would refuse for its price, or for want of margin: asked before anything is sent.

A band moves with the mark price and funds with every trade, so that both are only as good as their
last answer; Binance has the last word. What can't be asked in time holds no order up (ORD-15).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

import msgspec

from onefill.brokers.binance import words
from onefill.brokers.binance.rules import SymbolRules
from onefill.brokers.binance.wire import Wire
from onefill.brokers.outcome import is_sane
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import OrderIntent, Side, Verb
from onefill.core.money import ZERO, plain
from onefill.core.orders.rates import Urgency
from onefill.ports.clock import Clock
from onefill.ports.rates import urgently

_PRICE_FOR_MS, _FUNDS_FOR_MS, _TERMS_FOR_MS = 1_000, 1_000, 300_000


class _Mark(msgspec.Struct, frozen=True, rename="camel"):
    mark_price: Decimal


class _Balance(msgspec.Struct, frozen=True, rename="camel"):
    asset: str
    available_balance: Decimal


class _Config(msgspec.Struct, frozen=True):
    symbol: str
    leverage: int


_mark = msgspec.json.Decoder(_Mark)
_balances = msgspec.json.Decoder(list[_Balance])
_configs = msgspec.json.Decoder(list[_Config])


@dataclass(slots=True)
class _Kept:
    """Answers and until when each is good (boot time)."""

    values: dict[str, Decimal]
    until_ms: float = float("-inf")


class Prechecks:
    """Keeps each answer for as long as it is good."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._marks: dict[str, _Kept] = {}
        self._funds = _Kept({})
        self._leverage = _Kept({})

    async def complaint(self, intent: OrderIntent, rules: SymbolRules | None) -> str | None:
        """Why Binance would refuse the order; None where it would not, or can't be asked now."""
        if rules is None:
            return None
        try:
            with urgently(Urgency.LATER):
                return await self._beyond_band(intent, rules) or await self._lacks(intent, rules)
        except BrokerUnavailable:
            return None

    async def _beyond_band(self, intent: OrderIntent, rules: SymbolRules) -> str | None:
        """A buy may be no dearer, and a sale no cheaper, than the band around the mark price."""
        order = intent.order
        is_buy = order.side is Side.BUY
        times = rules.times_up if is_buy else rules.times_down
        if order.price is None or times <= 0:
            return None
        edge = await self._mark(order.symbol) * times
        is_within = order.price <= edge if is_buy else order.price >= edge
        if is_within:
            return None
        where = "above" if is_buy else "below"
        return f"{order.symbol}: the price {plain(order.price)} is {where} {plain(round(edge, 8))}"

    async def _lacks(self, intent: OrderIntent, rules: SymbolRules) -> str | None:
        """What opens a position binds margin; what turns one frees as much as it closes."""
        order = intent.order
        opens = intent.verb is Verb.PLACE and intent.adds_exposure and not order.reduce_only
        if not opens or order.order_type.is_conditional:
            return None
        price = order.price or await self._mark(order.symbol)
        leverage = await self._leverage_of(order.symbol)
        available = await self._available(rules.margin_asset)
        needed = order.quantity * price / leverage
        if needed <= available:
            return None
        closes = min(await self._held_against(intent), order.quantity)
        needed = (order.quantity - 2 * closes) * price / leverage
        if needed <= available:
            return None
        asset = rules.margin_asset
        return (
            f"{order.symbol}: {plain(round(needed, 8))} {asset} of margin is needed, "
            f"{plain(available)} is available"
        )

    async def _mark(self, symbol: str) -> Decimal:
        kept = self._marks.setdefault(symbol, _Kept({}))
        if self._clock.boottime_ms() >= kept.until_ms:
            target = f"/fapi/v1/premiumIndex?symbol={quote(symbol, safe='')}"
            reply = await self._wire.ask_openly(target)
            price = _sane(self._wire.read(reply, _mark).mark_price)
            self._keep(kept, {symbol: price}, _PRICE_FOR_MS)
        return kept.values[symbol]

    async def _available(self, asset: str) -> Decimal:
        if self._clock.boottime_ms() >= self._funds.until_ms:
            reply = await self._wire.ask("/fapi/v3/balance")
            rows = self._wire.read(reply, _balances)
            funds = {row.asset: _sane(row.available_balance, least=None) for row in rows}
            self._keep(self._funds, funds, _FUNDS_FOR_MS)
        return _there(self._funds.values, asset)

    async def _leverage_of(self, symbol: str) -> Decimal:
        if self._clock.boottime_ms() >= self._leverage.until_ms:
            reply = await self._wire.ask("/fapi/v1/symbolConfig")
            rows = self._wire.read(reply, _configs)
            terms = {row.symbol: Decimal(row.leverage) for row in rows if row.leverage > 0}
            self._keep(self._leverage, terms, _TERMS_FOR_MS)
        return _there(self._leverage.values, symbol)

    async def _held_against(self, intent: OrderIntent) -> Decimal:
        """What is held of the symbol that the order would close first."""
        order = intent.order
        if self._wire.hedged:
            return ZERO
        symbol = f"symbol={quote(order.symbol, safe='')}"
        reply = await self._wire.ask("/fapi/v3/positionRisk", symbol)
        rows = self._wire.read(reply, words.positions_decoder)
        mine = (_sane(row.position_amt, least=None) for row in rows if row.symbol == order.symbol)
        net = sum(mine, ZERO)
        return max(net if order.side is Side.SELL else -net, ZERO)

    def _keep(self, kept: _Kept, values: dict[str, Decimal], for_ms: int) -> None:
        kept.values, kept.until_ms = values, self._clock.boottime_ms() + for_ms


def _sane(figure: Decimal, least: Decimal | None = ZERO) -> Decimal:
    """The figure, if it can be true. Raises BrokerUnavailable."""
    if not is_sane(figure) or (least is not None and figure <= least):
        raise BrokerUnavailable("the broker's figure can't be true", figure=figure)
    return figure


def _there(values: dict[str, Decimal], name: str) -> Decimal:
    if name not in values:
        raise BrokerUnavailable("the broker does not say", of=name)
    return values[name]
