"""What brokers' words mean for intents, positions and signals. Shapes; the rules follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from onefill.core.ids import ClientOrderId
from onefill.core.intent import OrderIntent
from onefill.core.position import Position
from onefill.core.report import Absent, Outcome
from onefill.core.signal import SignalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """Looking further proves nothing: the order goes to a person (class C)."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One word about one attempt of one intent."""

    client_order_id: ClientOrderId
    attempt: int
    word: Outcome | Absent | Unsettled


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What a report added to an intent; cumulative_quantity makes it unique per intent."""

    client_order_id: ClientOrderId
    cumulative_quantity: Decimal
    quantity: Decimal
    value: Decimal
    trade_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneBooks:
    """All intents and positions that the words may touch, of one lane, as the store has them."""

    now: datetime
    intents: tuple[OrderIntent, ...]
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What to write: only what changed. block: why the lane takes no new exposure from now."""

    intents: tuple[OrderIntent, ...] = ()
    positions: tuple[Position, ...] = ()
    fills: tuple[Fill, ...] = ()
    signals: tuple[tuple[int, SignalStatus, str | None], ...] = ()
    block: str | None = None
    alarms: tuple[str, ...] = ()
