"""Whether a cancel or a change took effect, judged by its target. Source: ORD-7."""

from __future__ import annotations

from datetime import datetime, timedelta

from onefill.core.intent import OrderIntent, Verb
from onefill.core.orders.report import OrderReport, OrderStatus

REPEAT_AFTER = timedelta(seconds=2)
"""Asynchronous brokers take a moment; and some limit how often an order may be changed."""

_OVER = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED})


def is_carried_out(change: OrderIntent, report: OrderReport) -> bool:
    """Whether the target, as the broker shows it, is what the change wants, or is over."""
    if report.status in _OVER:
        return True
    wanted = (change.order.quantity, change.order.price, change.order.trigger_price)
    shown = (report.quantity, report.price, report.trigger_price)
    return change.verb is Verb.MODIFY and shown == wanted


def may_be_repeated(change: OrderIntent, now: datetime) -> bool:
    """Whether an attempt whose outcome is unknown is old enough to be made again.

    Not before it has expired, where requests do: an older change that arrives late could undo
    a newer one.
    """
    due = [moment for moment in (change.send_by, change.expires_at) if moment is not None]
    return all(now > moment + REPEAT_AFTER for moment in due)
