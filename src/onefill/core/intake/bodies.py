"""The three kinds of alert, field by field: portfolio, direct, autopilot (SIG-4, SIG-23)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from onefill.core.intake.fields import (
    ABOVE_ZERO,
    ANY_NUMBER,
    NOT_NEGATIVE,
    WHOLE,
    ZERO_TO_ONE,
    Fields,
)
from onefill.core.intake.problem import Problem
from onefill.core.intake.signal_time import Zones, signal_time
from onefill.core.money import ZERO, plain
from onefill.core.signal import ALL_SLOTS, Engine, Signal, SignalKind

PORTFOLIO_DEFAULT = "main"
SECRET = "secret"

_COMMON = frozenset(
    {
        *("timestamp", "portfolio", "order_id", "strategy", SECRET, "test"),
        *("sequence", "market_position", "position_size"),  # for the missed-signal watch
    }
)
_KNOWN = {
    Engine.PORTFOLIO: _COMMON
    | {
        *("type", "instrument", "position", "price", "stop", "lots", "atr", "er", "supertrend"),
        *("roc", "reason", "entry_price"),
    },
    Engine.DIRECT: _COMMON | {"action", "ticker", "contracts", "price", "type"},
    Engine.AUTOPILOT: _COMMON | {"action", "type", "symbol", "size", "price"},
}
_DIRECT = {"buy": SignalKind.BUY, "sell": SignalKind.SELL, "close": SignalKind.CLOSE}
_OPENINGS = {"OPEN_LONG": SignalKind.OPEN_LONG, "OPEN_SHORT": SignalKind.OPEN_SHORT}
_ACTIONS = {word.lower(): word for word in (*_DIRECT, *_OPENINGS)}
_TYPES = {
    word.lower(): word
    for word in ("BASE_ENTRY", "PYRAMID", "EXIT", "MARKET_DATA", *_OPENINGS, "CLOSE")
}
_SIDES = {side: side for side in ("long", "short", "flat")}
_ORDER_TYPES = {order_type: order_type for order_type in ("market", "limit")}
_SLOTS = {f"long_{n}": f"Long_{n}" for n in range(1, 7)}
_EXIT_SLOTS = {**_SLOTS, "all": ALL_SLOTS}
_INSTRUMENT = re.compile(r"[A-Za-z0-9_.:!&/^=+@-]{1,64}")
_INSTRUMENT_WORDS = "a name without spaces, such as BANK_NIFTY or BTCUSDT"
_PORTFOLIO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_PORTFOLIO_WORDS = "a portfolio's name, such as main (letters, digits, _ . -)"


def signal_of(
    values: Mapping[str, object], now: datetime | None, zones: Zones
) -> Signal | tuple[Problem, ...]:
    """The signal that these fields make, or all that is wrong with them.

    now: the receiver's clock; None for a logged payload, whose time is trusted.
    """
    body = _Body(values, now, zones)
    signal = _reader_of(body)()
    if signal is None or body.fields.problems:
        return tuple(body.fields.problems)
    return signal


def _reader_of(body: _Body) -> Callable[[], Signal | None]:
    """A body with an action is never the portfolio's, whatever its type says."""
    fields = body.fields
    if "action" in fields:
        return _reader_of_action(body)
    if "market_position" in fields and "ticker" in fields:
        return lambda: body.direct(SignalKind.TARGET)
    match fields.word("type", _TYPES, required=True):
        case None:
            return lambda: None
        case "CLOSE":
            return lambda: body.autopilot(SignalKind.CLOSE_POSITION)
        case opening if opening in _OPENINGS:
            return lambda: body.autopilot(_OPENINGS[opening])
        case "MARKET_DATA":
            return body.market_data
        case trade:
            return lambda: body.trade(SignalKind(trade))


def _reader_of_action(body: _Body) -> Callable[[], Signal | None]:
    fields = body.fields
    match fields.word("action", _ACTIONS):
        case None:
            return lambda: None
        case opening if opening in _OPENINGS:
            return lambda: body.autopilot(_OPENINGS[opening])
        case "close" if "symbol" in fields and "ticker" not in fields:
            return lambda: body.autopilot(SignalKind.CLOSE_POSITION)
        case "buy" | "sell" if "contracts" not in fields and "market_position" in fields:
            return lambda: body.direct(SignalKind.TARGET)
        case order:
            return lambda: body.direct(_DIRECT[order])


class _Body:
    """One body being read. A reader answers None where a field that it cannot do without fails."""

    __slots__ = ("_now", "_values", "_zones", "fields")

    def __init__(self, values: Mapping[str, object], now: datetime | None, zones: Zones) -> None:
        self.fields = Fields(values)
        self._values = values
        self._now = now
        self._zones = zones

    def trade(self, kind: SignalKind) -> Signal | None:
        """BASE_ENTRY, PYRAMID, EXIT: everything that sizing may need (SIG-4)."""
        fields = self.fields
        is_exit = kind is SignalKind.EXIT
        lots = fields.number("lots", WHOLE, required=True)
        return self._signal(
            Engine.PORTFOLIO,
            kind,
            "instrument",
            position=fields.word("position", _EXIT_SLOTS if is_exit else _SLOTS, required=True),
            price=fields.number("price", ABOVE_ZERO, required=True),
            stop=fields.number("stop", NOT_NEGATIVE if is_exit else ABOVE_ZERO, required=True),
            lots=None if lots is None else int(lots),
            atr=fields.number("atr", NOT_NEGATIVE, required=True),
            er=fields.number("er", ZERO_TO_ONE, required=True),
            supertrend=fields.number("supertrend", ANY_NUMBER, required=True),
            roc=fields.number("roc", ANY_NUMBER),
            entry_price=fields.number("entry_price", ABOVE_ZERO),
            reason=fields.text("reason", "why the position is left", required=is_exit),
        )

    def market_data(self) -> Signal | None:
        """MARKET_DATA: a bar's close; it has no position and no size."""
        fields = self.fields
        return self._signal(
            Engine.PORTFOLIO,
            SignalKind.MARKET_DATA,
            "instrument",
            price=fields.number("price", ABOVE_ZERO, required=True),
            atr=fields.number("atr", NOT_NEGATIVE, required=True),
            supertrend=fields.number("supertrend", ANY_NUMBER, required=True),
            er=fields.number("er", ZERO_TO_ONE),
            roc=fields.number("roc", ANY_NUMBER),
        )

    def direct(self, kind: SignalKind) -> Signal | None:
        """The direct policy: an order (buy, sell, close) or a net position to reach."""
        fields = self.fields
        is_order = kind in (SignalKind.BUY, SignalKind.SELL)
        is_limit = fields.word("type", _ORDER_TYPES) == "limit"
        price = fields.number("price", ABOVE_ZERO, required=is_limit)
        return self._signal(
            Engine.DIRECT,
            kind,
            "ticker",
            quantity=fields.number("contracts", ABOVE_ZERO, required=True) if is_order else None,
            target=self._target() if kind is SignalKind.TARGET else None,
            price=price,
            limit_price=price if is_limit else None,
        )

    def autopilot(self, kind: SignalKind) -> Signal | None:
        """The autopilot: open a position of a size, or close it."""
        fields = self.fields
        opens = kind is not SignalKind.CLOSE_POSITION
        return self._signal(
            Engine.AUTOPILOT,
            kind,
            "symbol",
            quantity=fields.number("size", ABOVE_ZERO, required=True) if opens else None,
            price=fields.number("price", ABOVE_ZERO),
        )

    def _target(self) -> Decimal | None:
        """The net position to reach; TradingView writes a short size with or without its sign."""
        fields = self.fields
        side = fields.word("market_position", _SIDES, required=True)
        if side == "flat":
            return ZERO
        size = fields.number("position_size", ANY_NUMBER, required=True)
        if side is None or size is None:
            return None
        if size == ZERO or (side == "long" and size < ZERO):
            fields.refuse("position_size", f"must be above 0 for {side}; for none write flat")
            return None
        return abs(size) if side == "long" else -abs(size)

    def _signal(
        self,
        engine: Engine,
        kind: SignalKind,
        instrument_field: str,
        *,
        position: str | None = None,
        price: Decimal | None = None,
        stop: Decimal | None = None,
        lots: int | None = None,
        atr: Decimal | None = None,
        er: Decimal | None = None,
        supertrend: Decimal | None = None,
        roc: Decimal | None = None,
        entry_price: Decimal | None = None,
        reason: str | None = None,
        quantity: Decimal | None = None,
        target: Decimal | None = None,
        limit_price: Decimal | None = None,
    ) -> Signal | None:
        """Add what every alert has."""
        fields = self.fields
        instrument = fields.matching(
            instrument_field, _INSTRUMENT, _INSTRUMENT_WORDS, required=True
        )
        portfolio = fields.matching("portfolio", _PORTFOLIO, _PORTFOLIO_WORDS)
        time = self._time(instrument)
        order_id = self._order_id()
        strategy = fields.text("strategy", "a strategy's name")
        test = fields.flag("test")
        if instrument is None or time is None:
            return None
        return Signal(
            engine=engine,
            kind=kind,
            portfolio=(portfolio or PORTFOLIO_DEFAULT).lower(),
            instrument=instrument.upper(),
            time=time,
            position=position,
            price=price,
            stop=stop,
            atr=atr,
            er=er,
            roc=roc,
            supertrend=supertrend,
            entry_price=entry_price,
            lots=lots,
            reason=reason,
            quantity=quantity,
            target=target,
            limit_price=limit_price,
            order_id=order_id,
            strategy=strategy,
            test=test,
            unknown_fields=self._unknown(engine),
        )

    def _time(self, instrument: str | None) -> datetime | None:
        written = self._values.get("timestamp")
        if written is None:
            self.fields.refuse("timestamp", "is missing; write when the bar closed, in ISO-8601")
            return None
        if isinstance(written, str):
            written = written.strip()
        zone = self._zones.of(instrument.upper() if instrument else None)
        time = signal_time(written, zone, self._now)
        if isinstance(time, str):
            self.fields.refuse("timestamp", time)
            return None
        return time

    def _order_id(self) -> str | None:
        """Numbers are taken too: many senders count their orders."""
        if isinstance(self._values.get("order_id"), Decimal):
            number = self.fields.number("order_id", ANY_NUMBER)
            return None if number is None else plain(number)
        return self.fields.text("order_id", "the sender's own id of the order")

    def _unknown(self, engine: Engine) -> tuple[str, ...]:
        unknown = self._values.keys() - _KNOWN[engine]
        return tuple(sorted(unknown)) if unknown else ()
