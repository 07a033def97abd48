"""What a paper venue is started with, and which promises its broker class makes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from onefill.core.errors import ConfigurationError
from onefill.core.money import ZERO


class BrokerClass(enum.StrEnum):
    """How far a client order id protects against a second execution. Source: ORD-6, ORD-7."""

    A = "A"
    """Unique for ever: a repeat is refused and never executes."""
    B = "B"
    """Unique among open orders only, and requests expire."""
    C = "C"
    """Neither unique nor searchable, and requests never expire."""

    @property
    def is_searchable(self) -> bool:
        """Whether an order can be looked up by its client order id."""
        return self is not BrokerClass.C

    @property
    def requests_expire(self) -> bool:
        """Whether a request that arrives after its window is refused."""
        return self is BrokerClass.B

    @property
    def scope(self) -> str:
        """Among which orders a client order id is unique: forever, open or none."""
        return {"A": "forever", "B": "open", "C": "none"}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOptions:
    """The settings of one paper venue; the defaults are the contract's (60-interfaces)."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 9100
    broker_class: BrokerClass = BrokerClass.B
    lag_ms: int = 300
    """How late an order may appear in look-ups, as declared to adapters."""
    seed: int | None = None
    """Starts the random walk and seeds the faults' dice; None leaves prices where they are set."""
    bars: Path | None = None
    """A file of bars that drives the prices; it wins over the random walk."""
    bar_ms: int = 1_000
    """Time between two bars, or two steps of the random walk."""
    volatility: Decimal = Decimal("0.15")
    """Of the options' underlying, a year: 0.15 is fifteen percent."""
    spread: Decimal = ZERO
    """Between the prices of a buy and a sell, in points."""
    fill_at_most: Decimal | None = None
    """The quantity that an order fills on one price tick; None fills all of it."""
    rates: bool = False
    """Accounts may ask and order in a time only what the real brokers allow."""
    lean: bool = False
    """Hides filled quantity and average price in OpenAlgo's order book, as some brokers do."""

    def __post_init__(self) -> None:
        checks = (
            (self.lag_ms >= 0, "lag_ms must not be negative"),
            (self.bar_ms > 0, "bar_ms must be positive"),
            (self.volatility > 0, "volatility must be positive"),
            (self.spread >= 0, "spread must not be negative"),
            (self.fill_at_most is None or self.fill_at_most > 0, "fill_at_most must be positive"),
        )
        for holds, complaint in checks:
            if not holds:
                raise ConfigurationError(complaint)
