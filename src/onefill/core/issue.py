"""How an order intent is made: one place, so that every id is derived the same way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from onefill.core.ids import ClientOrderId, client_order_id
from onefill.core.intent import OrderIntent, OrderRequest, OrderType, Side
from onefill.core.position import Leg, Position

OPEN, CLOSE, TRADE = "open", "close", "trade"
"""Actions: opening a position's leg, closing it, and the direct policy's plain orders."""
COMPLETE, UNWIND = "complete", "unwind"
"""Actions on legs that ended unequal: buying what lacks, undoing what is too much."""
BUILDING = frozenset({OPEN, COMPLETE, UNWIND})
"""Actions after which a position is open, or isn't: while one may fill, that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why orders are issued. source, action and n make their ids (ORD-1)."""

    deployment: str
    source: str
    action: str
    n: int = 1
    signal_id: int | None = None


def issue(
    cause: Cause,
    position: Position,
    leg: Leg,
    side: Side,
    quantity: Decimal,
    *,
    adds_exposure: bool = False,
    after: ClientOrderId | None = None,
    valid_until: datetime | None = None,
    limit_price: Decimal | None = None,
) -> OrderIntent:
    """A NEW intent for one leg; quantity in broker units, at market without a limit price."""
    return OrderIntent(
        client_order_id=client_order_id(
            cause.deployment, cause.source, leg.name, cause.action, cause.n
        ),
        lane=position.lane,
        portfolio=position.portfolio,
        instrument=position.instrument,
        source=cause.source,
        leg=leg.name,
        action=cause.action,
        n=cause.n,
        order=OrderRequest(
            broker=leg.broker,
            account=leg.account,
            symbol=leg.symbol,
            exchange=leg.exchange,
            side=side,
            quantity=quantity,
            order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            price=limit_price,
            reduce_only=cause.action in (CLOSE, UNWIND),
        ),
        adds_exposure=adds_exposure,
        signal_id=cause.signal_id,
        position_id=position.id,
        after=after,
        valid_until=valid_until,
    )
