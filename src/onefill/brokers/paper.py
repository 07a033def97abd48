"""What the paper venue says of itself: a paper account talks to nothing else (ORD-13, ORD-14)."""

from __future__ import annotations

from dataclasses import dataclass

from onefill.brokers.http import Http
from onefill.brokers.outcome import json_of
from onefill.core.errors import BrokerUnavailable
from onefill.ports.broker import OrderClass


@dataclass(frozen=True, slots=True)
class Declaration:
    """A venue's class, and how late an order may appear in its look-ups."""

    order_class: OrderClass
    lag_ms: int


async def read_declaration(http: Http) -> Declaration:
    """Ask the paper venue. Raises BrokerUnavailable, also where something else answers."""
    reply = await http.ask("GET", "/healthz", {})
    value = json_of(reply.body) if reply.status == 200 else None
    order_class = value.get("class") if isinstance(value, dict) else None
    lag_ms = value.get("lag_ms") if isinstance(value, dict) else None
    if order_class in list(OrderClass) and isinstance(lag_ms, int) and lag_ms >= 0:
        return Declaration(OrderClass(order_class), lag_ms)
    raise BrokerUnavailable(
        "this is not the paper venue",
        remedy="Start `onefill exchange` and name its address; a live account needs `live = true`.",
        address=http.base_url,
        status=reply.status,
    )
