"""What the paper venue says of itself: a paper account talks to nothing else (ORD-13, ORD-14)."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from onefill.brokers.http import Http
from onefill.brokers.meter import RateRow, Rates, rates_of
from onefill.brokers.outcome import json_of
from onefill.core.errors import BrokerUnavailable
from onefill.ports.broker import OrderClass


@dataclass(frozen=True, slots=True)
class Declaration:
    """A venue's class, how late an order may appear in its look-ups, and OpenAlgo's rates."""

    order_class: OrderClass
    lag_ms: int
    rates: Rates = field(default_factory=Rates)


async def read_declaration(http: Http) -> Declaration:
    """Ask the paper venue. Raises BrokerUnavailable, also where something else answers."""
    reply = await http.ask("GET", "/healthz", {})
    value = json_of(reply.body) if reply.status == 200 else None
    order_class = value.get("class") if isinstance(value, dict) else None
    lag_ms = value.get("lag_ms") if isinstance(value, dict) else None
    if order_class in list(OrderClass) and isinstance(lag_ms, int) and lag_ms >= 0:
        return Declaration(OrderClass(order_class), lag_ms, _rates_of(value))
    raise BrokerUnavailable(
        "this is not the paper venue",
        remedy="Start `onefill exchange` and name its address; a live account needs `live = true`.",
        address=http.base_url,
        status=reply.status,
    )


def _rates_of(value: object) -> Rates:
    said = value.get("rates") if isinstance(value, dict) else None
    rows = said.get("openalgo", []) if isinstance(said, dict) else []
    try:
        return rates_of(msgspec.convert(rows, list[RateRow]))
    except msgspec.ValidationError:
        return Rates()
