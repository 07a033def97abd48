"""OpenAlgo's words: which answers prove what, and how it writes orders, trades and positions.

It fronts many brokers, whose words it passes on. So fields may be missing, and only what it says
itself before it asks a broker, or what all brokers say alike, proves that nothing was placed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from onefill.brokers.http import Reply
from onefill.brokers.likeness import Sighting
from onefill.brokers.openalgo.units import UnitConverter
from onefill.brokers.outcome import Rule, Verdict, decimal_of, find_rule, json_of, side_of
from onefill.core.errors import ConfigurationError
from onefill.core.intent import OrderType
from onefill.core.money import ZERO
from onefill.core.orders.report import OrderReport, OrderStatus
from onefill.core.quote import Quote, quote_of

_FIELDS = "apikey|strategy|exchange|symbol|action|quantity|pricetype|product|price|trigger_price"

DEFINITE: tuple[Rule, ...] = (
    Rule(403, None, Verdict.REFUSED, says=r"Invalid openalgo apikey$"),
    Rule(404, None, Verdict.REFUSED, says=r"Broker-specific module not found$"),
    Rule(400, None, Verdict.REFUSED, says=r"Missing mandatory field\(s\): "),
    Rule(400, None, Verdict.REFUSED, says=r"Invalid (exchange|action|price type|product type)\. "),
    Rule(400, None, Verdict.REFUSED, says=rf"\{{'({_FIELDS})': \["),
    Rule(400, None, Verdict.REFUSED, says=r"Symbol \S+ not found (on|for) exchange "),
    Rule(400, None, Verdict.REFUSED, says=r"(quantity|price) must be "),
    Rule(400, None, Verdict.REFUSED, says=r"Insufficient (funds|margin|balance)\b"),
    Rule(429, None, Verdict.RETRY),
)
"""`Order request timed out. …`, though it comes as HTTP 400 too, is not here: it lies."""

_STATUSES = {
    "complete": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELLED,
    "canceled": OrderStatus.CANCELLED,
    "rejected": OrderStatus.REJECTED,
}
"""Any other word (open, trigger pending, validation pending …) says that it is still working."""

_INDIA = ZoneInfo("Asia/Kolkata")
_TIMES = ("%d-%b-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d-%m-%Y %H:%M:%S")
"""How the brokers behind it write the time of an order; a time without its day is not known."""

_PRICE_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP_MARKET: "SL-M",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An order of the order book, quantities in units; None is what the server leaves out."""

    broker_order_id: str
    symbol: str
    exchange: str
    side: str
    quantity: Decimal
    status: OrderStatus
    word: str
    mark: str = ""
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    at: datetime | None = None

    @property
    def sighting(self) -> Sighting:
        """The order as far as it identifies itself."""
        return Sighting(
            broker_order_id=self.broker_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            mark=self.mark,
            at=self.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What the trade book says of one order: units, and units times price."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO


def price_type(order_type: OrderType) -> str:
    """How it calls that type of order. Raises ConfigurationError: no take-profit waits there."""
    if order_type not in _PRICE_TYPES:
        raise ConfigurationError("OpenAlgo has no such type of order", type=order_type)
    return _PRICE_TYPES[order_type]


def rule_of(reply: Reply) -> tuple[Rule, str] | None:
    """What an error reply proves by the list above, with its message; None: nothing."""
    value = json_of(reply.body)
    if not isinstance(value, dict) or value.get("status") != "error":
        return None
    message = value.get("message")
    if isinstance(message, dict) and message:  # some versions send the validator's object itself
        message = str(message)
    if not isinstance(message, str):
        return None
    rule = find_rule(DEFINITE, reply.status, None, message)
    return None if rule is None else (rule, message)


def placed_id(reply: Reply) -> str | None:
    """The order id of an order that was placed; None where the reply doesn't say so."""
    value = json_of(reply.body)
    if reply.status != 200 or not isinstance(value, dict) or value.get("status") != "success":
        return None
    return _id_of(value.get("orderid"))


def data_of(reply: Reply) -> object:
    """The data of a successful reply; None where it is not one."""
    value = json_of(reply.body)
    if reply.status != 200 or not isinstance(value, dict) or value.get("status") != "success":
        return None
    return value.get("data")


def is_unlisted(reply: Reply) -> bool:
    """Whether the server says that there is no such symbol."""
    value = json_of(reply.body)
    message = value.get("message") if isinstance(value, dict) else None
    is_error = reply.status in (400, 404) and isinstance(message, str)
    return is_error and re.match(r"Symbol\b.* not found\b", message or "") is not None


def lot_size_in(data: object) -> Decimal | None:
    """A symbol's lot as the server counts it; None where it does not say."""
    stated = decimal_of(data.get("lotsize")) if isinstance(data, dict) else None
    return stated if stated is not None and stated > 0 else None


def margin_position(fields: Mapping[str, str]) -> dict[str, object]:
    """An order as the margin service wants it, from the fields that place it."""
    names = ("symbol", "exchange", "action", "product", "pricetype", "quantity", "price")
    return {"positions": [{name: fields[name] for name in names}]}


def margin_in(data: object) -> Decimal | None:
    """The margin that an order needs; None where it is not told."""
    stated = decimal_of(data.get("total_margin_required")) if isinstance(data, dict) else None
    return stated if stated is not None and stated > 0 else None


def cash_in(data: object) -> Decimal | None:
    """What of the account's funds is free; None where it is not told."""
    return decimal_of(data.get("availablecash")) if isinstance(data, dict) else None


def symbols_in(data: object) -> set[tuple[str, str]]:
    """Symbol and exchange of whatever a list of orders, trades or positions names."""
    rows = data.get("orders", [data]) if isinstance(data, dict) else data
    found = _dicts(rows) if isinstance(rows, list) else ()
    return {(_text(row, "symbol"), _text(row, "exchange")) for row in found}


def quote_in(data: Mapping[str, object], at: datetime) -> Quote | None:
    """The quote that an answer states; None where it states no price."""
    bid, ask, last = (decimal_of(data.get(name)) for name in ("bid", "ask", "ltp"))
    return quote_of(bid, ask, last, at)


def rows_of(data: object, units: UnitConverter) -> list[Row] | None:
    """The orders of an order book; None where it is none. What can't be read is left out."""
    orders = data.get("orders") if isinstance(data, dict) else data
    if not isinstance(orders, list):
        return None
    rows = (row_of(order, units) for order in orders)
    return [row for row in rows if row is not None]


def row_of(order: object, units: UnitConverter) -> Row | None:
    """One order; None where it lacks what identifies it."""
    if not isinstance(order, dict):
        return None
    number, symbol = _id_of(order.get("orderid")), _text(order, "symbol")
    exchange, word = _text(order, "exchange"), _text(order, "order_status").lower()
    quantity = _units_of(order, "quantity", units)
    if number is None or not symbol or quantity is None or quantity <= 0:
        return None
    average = decimal_of(order.get("average_price"))
    return Row(
        broker_order_id=number,
        symbol=symbol,
        exchange=exchange,
        side=_text(order, "action").upper(),
        quantity=quantity,
        status=_STATUSES.get(word, OrderStatus.OPEN),
        word=word,
        mark=_text(order, "strategy") or _text(order, "tag"),
        filled_quantity=_units_of(order, "filled_quantity", units),
        average_price=average if average is not None and average > 0 else None,
        price=decimal_of(order.get("price")) or None,
        trigger_price=decimal_of(order.get("trigger_price")) or None,
        at=_moment(_text(order, "timestamp")),
    )


def traded(data: object, broker_order_id: str, units: UnitConverter) -> Traded | None:
    """What the trade book adds up to for this order; None where it can't be read."""
    if not isinstance(data, list):
        return None
    total = Traded()
    for trade in data:
        if not isinstance(trade, dict) or _id_of(trade.get("orderid")) != broker_order_id:
            continue
        quantity = _units_of(trade, "quantity", units)
        price = decimal_of(trade.get("average_price"))
        if quantity is None or price is None or price <= 0:
            return None
        total = Traded(quantity=total.quantity + quantity, value=total.value + quantity * price)
    return total


def report_of(row: Row, trades: Traded | None) -> OrderReport:
    """The order in our words, with as much of its fills as is stated.

    Trades win over the order's average price, which may be the price of its first trade only;
    unless they don't add up to what is filled. A fill without a price is not reported yet: the
    order is said to be open, and a later report says the rest.
    """
    filled = _filled_of(row, trades)
    value = _value_of(row, filled, trades) if filled is not None else None
    is_complete = filled is not None and value is not None
    return OrderReport(
        broker_order_id=row.broker_order_id,
        status=_status_of(row, filled) if is_complete else OrderStatus.OPEN,
        filled_quantity=filled if is_complete and filled is not None else ZERO,
        filled_value=value if is_complete and value is not None else ZERO,
        client_order_id=row.mark or None,
        symbol=row.symbol,
        message=row.word if is_complete else f"{row.word}, fills not stated yet",
        quantity=row.quantity,
        price=row.price,
        trigger_price=row.trigger_price,
        states_fills=row.filled_quantity is not None,
        side=side_of(row.side),
    )


def positions_of(data: object, units: UnitConverter) -> Mapping[str, Decimal] | None:
    """Net units by symbol, signed, over all products; None where it can't be read."""
    if not isinstance(data, list):
        return None
    net: dict[str, Decimal] = {}
    for row in _dicts(data):
        symbol, quantity = _text(row, "symbol"), _units_of(row, "quantity", units, signed=True)
        if not symbol or quantity is None:
            return None
        net[symbol] = net.get(symbol, ZERO) + quantity
    return {symbol: quantity for symbol, quantity in net.items() if quantity != 0}


def _filled_of(row: Row, trades: Traded | None) -> Decimal | None:
    """Units filled; None where nothing says."""
    if row.filled_quantity is not None and row.filled_quantity <= row.quantity:
        is_early = row.status is OrderStatus.FILLED and row.filled_quantity == 0
        return row.quantity if is_early else row.filled_quantity
    match row.status:
        case OrderStatus.FILLED:
            return row.quantity
        case OrderStatus.REJECTED:
            return ZERO
        case OrderStatus.CANCELLED:
            is_sound = trades is not None and trades.quantity <= row.quantity
            return trades.quantity if trades is not None and is_sound else None
        case _:
            return ZERO


def _value_of(row: Row, filled: Decimal, trades: Traded | None) -> Decimal | None:
    if filled == 0:
        return ZERO
    if trades is not None and trades.quantity == filled:
        return trades.value
    return filled * row.average_price if row.average_price is not None else None


def _status_of(row: Row, filled: Decimal | None) -> OrderStatus:
    if row.status is OrderStatus.OPEN and filled:
        return OrderStatus.PARTIALLY_FILLED
    return row.status


def _units_of(
    row: Mapping[str, object], name: str, units: UnitConverter, *, signed: bool = False
) -> Decimal | None:
    quantity = decimal_of(row.get(name))
    if quantity is None or (quantity < 0 and not signed):
        return None
    return units.from_wire(quantity, _text(row, "symbol"), _text(row, "exchange"))


def _id_of(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _moment(text: str) -> datetime | None:
    """The time that is written, as it is in India; None where it can't be read."""
    for form in _TIMES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.strip(), form).replace(tzinfo=_INDIA)
    return None


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _dicts(rows: Iterable[object]) -> Iterable[Mapping[str, object]]:
    return (row for row in rows if isinstance(row, dict))
