"""What a broker's stream says of orders and accounts. Source: ORD-10.

Nothing rests on it: whatever is lost here, polling finds.
"""

from __future__ import annotations

from dataclasses import dataclass

from onefill.core.orders.report import OrderReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Something happened to this order of ours that only a look-up tells in full."""

    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """From now on the stream is heard; what happened before may have been missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The stream is not heard any more; it is connected again by itself."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stirred:
    """The account changed other than by our orders: the books should be compared."""

    detail: str


StreamWord = OrderReport | Nudge | Connected | Disconnected | Stirred
"""An OrderReport here names the order as its intent knows it, by both ids."""
