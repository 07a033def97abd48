"""What an alert says, after it was read and found valid."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from onefill.core.ids import Lane, lane_of
from onefill.core.money import plain


class Engine(enum.StrEnum):
    """Who decides what a signal means."""

    PORTFOLIO = "portfolio"
    DIRECT = "direct"
    AUTOPILOT = "autopilot"


class SignalKind(enum.StrEnum):
    """What a signal asks for; the first four are the portfolio engine's, the next the direct
    policy's, the last three the autopilot's."""

    BASE_ENTRY = "BASE_ENTRY"
    PYRAMID = "PYRAMID"
    EXIT = "EXIT"
    MARKET_DATA = "MARKET_DATA"
    BUY = "BUY"
    SELL = "SELL"
    CLOSE = "CLOSE"
    TARGET = "TARGET"
    OPEN_LONG = "OPEN_LONG"
    OPEN_SHORT = "OPEN_SHORT"
    CLOSE_POSITION = "CLOSE_POSITION"


ENTRIES = frozenset(
    {
        SignalKind.BASE_ENTRY,
        SignalKind.PYRAMID,
        SignalKind.BUY,
        SignalKind.SELL,
        SignalKind.TARGET,
        SignalKind.OPEN_LONG,
        SignalKind.OPEN_SHORT,
    }
)
"""Kinds that may add exposure: they expire, and they wait while a lane has an order in doubt."""

ALL_SLOTS = "ALL"
BASE_SLOT = "Long_1"
NET_SLOT = "Net"
"""The one slot of the direct policy: a net position, long or short."""


class SignalStatus(enum.StrEnum):
    """How far a signal has come (SIG-14)."""

    RECEIVED = "received"
    DECIDED = "decided"
    EXECUTING = "executing"
    EXECUTED = "executed"
    IGNORED = "ignored"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


END_STATUSES = frozenset(
    {
        SignalStatus.EXECUTED,
        SignalStatus.IGNORED,
        SignalStatus.REJECTED,
        SignalStatus.BLOCKED,
        SignalStatus.EXPIRED,
        SignalStatus.FAILED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One valid alert. Prices in points, `time` in UTC, `lots` only a suggestion.

    position: `Long_1` … `Long_6`, `ALL` (EXIT only) or None (direct policy, MARKET_DATA).
    quantity: the direct policy's `contracts`, in the order quantity of the broker.
    target: the net position to reach (direct policy), negative for short.
    limit_price: the direct policy's limit; None means at market.
    """

    engine: Engine
    kind: SignalKind
    portfolio: str
    instrument: str
    time: datetime
    position: str | None = None
    price: Decimal | None = None
    stop: Decimal | None = None
    atr: Decimal | None = None
    er: Decimal | None = None
    roc: Decimal | None = None
    supertrend: Decimal | None = None
    entry_price: Decimal | None = None
    lots: int | None = None
    reason: str | None = None
    quantity: Decimal | None = None
    target: Decimal | None = None
    limit_price: Decimal | None = None
    order_id: str | None = None
    strategy: str | None = None
    test: bool = False
    unknown_fields: tuple[str, ...] = ()

    @property
    def lane(self) -> Lane:
        """The lane that decides this signal."""
        return lane_of(self.portfolio, self.instrument)

    @property
    def may_add_exposure(self) -> bool:
        """Whether it asks for a larger position, rather than a smaller one or a new price."""
        return self.kind in ENTRIES


def second_of(time: datetime) -> datetime:
    """The second that the fingerprint of a signal of this time holds, in UTC (SIG-9).

    The log tells its partitions, and so equal signals, apart by it: whoever rounds in another way
    takes one alert twice.
    """
    return datetime.fromtimestamp(int(time.timestamp()), UTC)


def fingerprint(signal: Signal) -> bytes:
    """The identity of an alert for deduplication: 32 bytes.

    Equal for the same portfolio, instrument, kind, position, size (where size is the request
    itself), time to the second, and order id. Source: SIG-9.
    """
    size = "" if signal.quantity is None else plain(signal.quantity)
    target = "" if signal.target is None else plain(signal.target)
    parts = (
        signal.portfolio,
        signal.instrument,
        signal.kind.value,
        signal.position or "",
        size,
        target,
        str(int(second_of(signal.time).timestamp())),
        signal.order_id or "",
    )
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSignal:
    """A signal as the log holds it: what to decide next."""

    id: int
    fingerprint: bytes
    signal: Signal
    received_at: datetime

    @property
    def source(self) -> str:
        """The source of the intents that it causes: its fingerprint in hex."""
        return self.fingerprint.hex()
