"""Binance USD-M futures' words: which answers prove what, and how it writes an order.

Source: its public documentation; design/brokers.md has the table in prose.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

import msgspec

from onefill.brokers.http import Reply
from onefill.brokers.likeness import Sighting
from onefill.brokers.outcome import (
    UNREADABLE,
    Rule,
    Verdict,
    find_rule,
    is_sane,
    json_of,
    side_of,
)
from onefill.core.intent import Denial, OrderIntent, OrderRequest, OrderType, Side
from onefill.core.money import ZERO, plain
from onefill.core.orders.report import NotPlaced, OrderReport, OrderStatus

WEIGHTS = {
    "/fapi/v1/openOrders": 40,
    "/fapi/v1/openAlgoOrders": 40,
    "/fapi/v1/positionSide/dual": 30,
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/allAlgoOrders": 5,
    "/fapi/v3/positionRisk": 5,
    "/fapi/v3/balance": 5,
    "/fapi/v1/ticker/bookTicker": 5,
    "/fapi/v1/ticker/price": 2,
    "/fapi/v1/symbolConfig": 5,
}
"""What a question weighs that does not weigh 1."""

NO_SUCH_ORDER = -2013
NOT_LET_IN = (-1002, -2014, -2015)
"""Our key, our address or our permissions are not good there."""
NO_SUCH_SYMBOL = -1121
OTHER_MODE = -4061
"""The account is in the other position mode than the order says."""
OUTSIDE_WINDOW = (-1021, -5028)

_REFUSED_CODES = (
    -1002,  # not authorised
    *(-1013, -1014, -1020, -1022),  # invalid message, composition, operation, signature
    *range(-1106, -1099),  # parameters: characters, number, missing, unknown, unread, empty
    *(-1108, -1109, -1110, -1111),  # asset, account, instrument, precision
    *(-1114, -1115, -1116, -1117, -1118, -1121, -1128, -1130, -1136),
    *(-2014, -2015),  # key format; key, address or permission
    *(-2018, -2019),  # balance, margin
    *(-2021, -2022),  # would trigger at once; reduce-only refused
    *(-2023, -2024, -2025, -2026, -2027, -2028),  # liquidation, position, open orders, leverage
    *(-4001, -4002, -4003, -4004, -4005, -4006),  # price and quantity outside their bounds
    *(-4013, -4014, -4015, -4016, -4023, -4024),  # price, tick, id, multiplier, step
    *(-4062, -4118, -4120, -4130, -4131, -4136, -4140, -4141, -4164),  # side, mode, filters
    *(-5021, -5022),  # fill-or-kill and post-only orders that could not be
)
"""Refusals that come before an order is made. A code that is not here proves nothing."""

DEFINITE: tuple[Rule, ...] = (
    *(Rule(400, code, Verdict.REFUSED) for code in _REFUSED_CODES),
    *(Rule(401, code, Verdict.REFUSED) for code in (-1002, -2014, -2015)),
    *(Rule(400, code, Verdict.RESYNC) for code in OUTSIDE_WINDOW),
    Rule(400, OTHER_MODE, Verdict.RETRY),
    *(Rule(status, -1003, Verdict.RETRY) for status in (418, 429)),
    *(Rule(status, -1015, Verdict.RETRY) for status in (400, 429)),
    Rule(503, None, Verdict.LOOK_FIRST, says=r"Service Unavailable\.$"),
    Rule(503, -1001, Verdict.LOOK_FIRST, says="Internal error; unable to process your request"),
    Rule(503, -1008, Verdict.LOOK_FIRST),
    Rule(400, -4116, Verdict.EXISTS),
)

DENIALS = {
    -2021: Denial.WOULD_TRIGGER,
    -2022: Denial.NOTHING_TO_REDUCE,
    -4130: Denial.STOP_EXISTS,
}
"""Refusals after which whoever asked decides anew."""

STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.CANCELLED,
    "EXPIRED_IN_MATCH": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
}


class Refusal(msgspec.Struct, frozen=True):
    """Binance's form of an error."""

    code: int
    msg: str = ""


class OrderRow(msgspec.Struct, frozen=True, rename="camel"):
    """An order as Binance writes it, as far as it is needed."""

    order_id: int
    symbol: str
    side: str
    status: str
    orig_qty: Decimal
    executed_qty: Decimal
    client_order_id: str = ""
    cum_quote: Decimal | None = None
    avg_price: Decimal | None = None
    price: Decimal | None = None


class PositionRow(msgspec.Struct, frozen=True, rename="camel"):
    """A position as positionRisk writes it; position_amt is signed."""

    symbol: str
    position_amt: Decimal


class TimeRow(msgspec.Struct, frozen=True, rename="camel"):
    """The venue's time in milliseconds since 1970."""

    server_time: int


class ModeRow(msgspec.Struct, frozen=True, rename="camel"):
    """Whether the account is in hedge mode."""

    dual_side_position: bool


class KeyRow(msgspec.Struct, frozen=True, rename="camel"):
    """The key of the account's user stream."""

    listen_key: str


key_decoder = msgspec.json.Decoder(KeyRow)
mode_decoder = msgspec.json.Decoder(ModeRow)
order_decoder = msgspec.json.Decoder(OrderRow)
orders_decoder = msgspec.json.Decoder(list[OrderRow])
positions_decoder = msgspec.json.Decoder(list[PositionRow])
time_decoder = msgspec.json.Decoder(TimeRow)


def refusal_of(reply: Reply) -> Refusal | None:
    """The error that a reply states; None where it states none."""
    value = json_of(reply.body)
    if not isinstance(value, dict):
        return None
    code, message = value.get("code"), value.get("msg", "")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(message, str):
        return None
    return Refusal(code, message)


def rule_of(reply: Reply) -> tuple[Rule, Refusal] | None:
    """What the reply proves by the list above, with its words; None where it proves nothing."""
    refusal = refusal_of(reply)
    if refusal is None:
        return None
    rule = find_rule(DEFINITE, reply.status, refusal.code, refusal.msg)
    return None if rule is None else (rule, refusal)


def refused(rule: Rule, refusal: Refusal) -> NotPlaced:
    """A listed refusal in our words."""
    return NotPlaced(
        code=str(refusal.code),
        message=refusal.msg,
        retry=rule.verdict is not Verdict.REFUSED,
        denial=DENIALS.get(refusal.code),
    )


def place_parameters(intent: OrderIntent, *, hedged: bool) -> str:
    """The parameters that place the intent's order, percent-encoded, still unsigned."""
    order = intent.order
    parts = [
        f"symbol={quote(order.symbol, safe='')}&side={order.side}&type={order.order_type}"
        f"&quantity={plain(order.quantity)}"
    ]
    if order.order_type is OrderType.LIMIT and order.price is not None:
        parts.append(f"&timeInForce=GTC&price={plain(order.price)}")
    parts.append(position_of(order, hedged=hedged))
    parts.append(f"&newClientOrderId={intent.client_order_id}&newOrderRespType=RESULT")
    return "".join(parts)


def position_of(order: OrderRequest, *, hedged: bool) -> str:
    """Which position the order is about. In hedge mode that is one of two, and whoever sells of the
    long one can only reduce it: reduceOnly is refused there."""
    if not hedged:
        return "&reduceOnly=true" if order.reduce_only else ""
    is_long = (order.side is Side.BUY) is not order.reduce_only
    return f"&positionSide={'LONG' if is_long else 'SHORT'}"


def new_values(order: OrderRequest) -> str:
    """What a change of an order asks for, beside its name: absolute values."""
    price = f"&price={plain(order.price)}" if order.price is not None else ""
    return f"&side={order.side}&quantity={plain(order.quantity)}{price}"


def order_of(body: bytes) -> OrderRow | None:
    """The order that a body states, if it makes sense."""
    try:
        row = order_decoder.decode(body)
    except UNREADABLE:
        return None
    return row if is_sound(row) else None


def is_sound(row: OrderRow) -> bool:
    """Whether the order's figures can be true together."""
    stated = (row.orig_qty, row.executed_qty, row.cum_quote, row.avg_price, row.price)
    figures = [figure for figure in stated if figure is not None]
    if not all(is_sane(figure) and figure >= 0 for figure in figures):
        return False
    if row.order_id <= 0 or row.status not in STATUSES:
        return False
    # Close-position orders state no quantity; all others never fill more than they ask for.
    is_within = row.executed_qty <= row.orig_qty
    return is_within and (row.status != "FILLED" or row.executed_qty > 0)


def report_of(row: OrderRow) -> OrderReport:
    """The order in our words.

    A fill whose value is not stated yet is not reported yet: the order is said to be open, and
    a later report says the rest.
    """
    value = _value_of(row)
    is_complete = row.executed_qty == 0 or value > 0
    return OrderReport(
        broker_order_id=str(row.order_id),
        status=STATUSES[row.status] if is_complete else OrderStatus.OPEN,
        filled_quantity=row.executed_qty if is_complete else ZERO,
        filled_value=value,
        client_order_id=row.client_order_id or None,
        symbol=row.symbol,
        message=row.status if is_complete else f"{row.status}, price not stated yet",
        quantity=row.orig_qty,
        price=row.price or None,
        side=side_of(row.side),
    )


def _value_of(row: OrderRow) -> Decimal:
    """Quantity times price over all fills; 0 where it is not stated."""
    if row.executed_qty == 0:
        return ZERO
    if row.cum_quote:
        return row.cum_quote
    return row.executed_qty * row.avg_price if row.avg_price else ZERO


def sighting_of(row: OrderRow) -> Sighting:
    """The order as far as it identifies itself."""
    return Sighting(
        broker_order_id=str(row.order_id),
        symbol=row.symbol,
        side=row.side,
        quantity=row.orig_qty,
        mark=row.client_order_id,
    )
