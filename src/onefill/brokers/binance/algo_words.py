"""The words of Binance's algo service: conditional orders, and what becomes of them.

Source: its public documentation of `/fapi/v1/algoOrder` (since December 2025 the plain endpoint
refuses conditional orders with −4120).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from urllib.parse import quote

import msgspec

from onefill.brokers.binance import words
from onefill.brokers.likeness import Sighting
from onefill.brokers.outcome import UNREADABLE, is_sane, side_of
from onefill.core.intent import OrderIntent
from onefill.core.money import ZERO, plain
from onefill.core.orders.report import OrderReport, OrderStatus

WAITING = "NEW"
_NUMBER_MAX = 20
_MARK = "algo-"
"""Before the ids of this service, which are counted apart from those of orders."""

_STATUSES = {
    WAITING: OrderStatus.OPEN,
    "TRIGGERING": OrderStatus.OPEN,
    "TRIGGERED": OrderStatus.OPEN,
    "FINISHED": OrderStatus.OPEN,  # what it has become says how
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
}


class AlgoRow(msgspec.Struct, frozen=True, rename="camel"):
    """A conditional order as Binance writes it, as far as it is needed."""

    algo_id: int
    symbol: str
    side: str
    algo_status: str
    client_algo_id: str = ""
    order_type: str = ""
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    actual_order_id: str | int | None = None


algo_decoder = msgspec.json.Decoder(AlgoRow)
algos_decoder = msgspec.json.Decoder(list[AlgoRow])


def place_parameters(intent: OrderIntent, *, hedged: bool) -> str:
    """What places a conditional order, percent-encoded, still unsigned."""
    order = intent.order
    position = words.position_of(order, hedged=hedged)
    return (
        f"algoType=CONDITIONAL&symbol={quote(order.symbol, safe='')}&side={order.side}"
        f"&type={order.order_type}&quantity={plain(order.quantity)}"
        f"&triggerPrice={plain(order.trigger_price or ZERO)}{position}"
        f"&clientAlgoId={intent.client_order_id}"
    )


def number_of(algo_id: int) -> str:
    """The id that the rest of onefill knows the order by."""
    return f"{_MARK}{algo_id}"


def is_algo(broker_order_id: str) -> bool:
    """Whether the id is one of this service."""
    return broker_order_id.startswith(_MARK)


def bare(broker_order_id: str | None) -> str:
    """The id as Binance writes it."""
    return quote((broker_order_id or "").removeprefix(_MARK), safe="")


def actual_id(row: AlgoRow) -> str | None:
    """The id of the order that it has become, if it has become one."""
    return order_number(row.actual_order_id)


def order_number(stated: str | int | None) -> str | None:
    """The id of an order of the matching engine; None where it is none, such as an empty text."""
    number = str(stated or "")
    is_number = number.isascii() and number.isdecimal() and len(number) <= _NUMBER_MAX
    return number if is_number and int(number) > 0 else None


def algo_of(body: bytes) -> AlgoRow | None:
    """The conditional order that a body states, if it makes sense."""
    try:
        row = algo_decoder.decode(body)
    except UNREADABLE:
        return None
    return row if is_sound(row) else None


def is_sound(row: AlgoRow) -> bool:
    """Whether the order's figures can be true together."""
    figures = [figure for figure in (row.quantity, row.trigger_price) if figure is not None]
    if not all(is_sane(figure) and figure >= 0 for figure in figures):
        return False
    return row.algo_id > 0 and row.algo_status in _STATUSES


def report_of(row: AlgoRow, actual: words.OrderRow | None) -> OrderReport:
    """The order in our words: what it has become, under the id that it was placed with."""
    own = OrderReport(
        broker_order_id=number_of(row.algo_id),
        status=_STATUSES[row.algo_status],
        client_order_id=row.client_algo_id or None,
        symbol=row.symbol,
        message=row.algo_status,
        quantity=row.quantity or None,
        trigger_price=row.trigger_price or None,
        side=side_of(row.side),
    )
    if actual is None:
        return own
    filled = words.report_of(actual)
    return replace(
        own,
        status=filled.status,
        filled_quantity=filled.filled_quantity,
        filled_value=filled.filled_value,
        message=f"triggered, order {actual.order_id}: {filled.message}",
    )


def sighting_of(row: AlgoRow) -> Sighting:
    """The order as far as it identifies itself."""
    return Sighting(
        broker_order_id=number_of(row.algo_id),
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity or ZERO,
        mark=row.client_algo_id,
    )
