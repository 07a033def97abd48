"""Rows of OpenAlgo's books."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal

from onefill.venue.clock import moment
from onefill.venue.instruments import OPENALGO, instrument_of
from onefill.venue.orders import Execution, Order
from onefill.venue.wire import exact

_KOLKATA = timezone(timedelta(hours=5, minutes=30))


def trade_row(trade: Execution, order: Order, unit: Decimal) -> dict[str, object]:
    """A trade of the trade book. unit: units in one of what quantities are counted in."""
    return {
        "orderid": str(trade.broker_order_id),
        "symbol": trade.symbol,
        "exchange": instrument_of(OPENALGO, trade.symbol).exchange,
        "product": order.product,
        "action": str(trade.side),
        "quantity": exact(trade.quantity / unit),
        "average_price": exact(trade.price),
        "trade_value": exact(trade.quantity * trade.price),
        "timestamp": stamp(trade.at),
    }


def stamp(at_us: int) -> str:
    """As Indian brokers write times: to the second, in Kolkata."""
    return moment(at_us).astimezone(_KOLKATA).strftime("%d-%b-%Y %H:%M:%S")
