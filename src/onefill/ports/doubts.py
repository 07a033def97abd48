"""Orders that a person must settle, or has settled against evidence that may still come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A quarantined order that nobody has acknowledged. since: when it was quarantined."""

    client_order_id: ClientOrderId
    lane: Lane
    since: datetime
    now: datetime
    reason: str


class DoubtStore(Protocol):
    """What is looked at slowly, and shouted about. All raise StoreUnavailable."""

    async def lingering(self, limit: int) -> Sequence[OrderIntent]:
        """QUARANTINED, and for an hour NOT_PLACED: late evidence for them still wins (ORD-4)."""
        ...

    async def unacknowledged(self, limit: int) -> Sequence[Waiting]:
        """QUARANTINED, and no person has said yet that they know."""
        ...

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet (as of TradingStore)."""
        ...

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents (as of TradingStore)."""
        ...
