"""What the portfolio engine knows of an instrument: configuration, not code."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from onefill.core.money import ZERO
from onefill.core.signal import SignalKind


class Structure(enum.StrEnum):
    """How a position in the instrument is built at the broker."""

    SYNTHETIC_FUTURE = "synthetic_future"  # BUY call and SELL put, same strike and expiry
    FUTURE = "future"


class ExpiryRule(enum.StrEnum):
    """When the monthly contract ends, where no instrument list says so; earlier on holidays."""

    LAST_TUESDAY = "last_tuesday"
    FIFTH = "fifth"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaseLimits:
    """How orders follow their price instead of paying whatever is asked (PF-22).

    From the middle of the market the limit moves one `step` (in points, a multiple of the tick)
    each `every_s`, at most `steps_max` times, and never so far that one lot costs more than
    `cost_max` rupees above the middle. Then what is left is bought or sold at market.
    """

    step: Decimal
    cost_max: Decimal
    every_s: Decimal = Decimal("1.5")
    steps_max: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What trading costs (PF-13): rupees for each order that trades, and percent of the value that
    is bought and sold (commission, taxes, an exchange's charges)."""

    per_order: Decimal = ZERO
    buy_percent: Decimal = ZERO
    sell_percent: Decimal = ZERO


FREE = Tariff()


@dataclass(frozen=True, slots=True)
class Series:
    """One contract as a broker lists it. units: in one lot; None where the list does not say."""

    expiry: date
    units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable thing of the portfolio engine.

    point_value: rupees for one point and one lot. margin_per_lot in rupees. The percentages are
    of equity (1 is one percent). stop_k: the stop's distance in ATRs, initial and trailing.
    units_per_lot: what a broker's order quantity is, for one lot, in contracts that expire on the
    given date or later; a position keeps what it was opened with. The point value belongs to the
    newest entry. strike_step, strike_tie: nearest strike, and the
    multiple that wins a tie. rollover_days: calendar days before expiry at which to roll.
    tick: points between two prices at the exchange. chase: None sends all orders at market.
    protective_stop: whether a stop order waits at the broker for each position (PF-11).
    freeze_quantity: broker units above which the exchange takes no order (ORD-15).
    bar_minutes: the length of its senders' bars, at each of whose closes a signal is expected
    (SIG-21); 0: nothing is expected. costs: what trading it costs.
    """

    name: str
    exchange: str
    broker: str
    symbol_root: str
    structure: Structure
    expiry_rule: ExpiryRule
    zone: str = "Asia/Kolkata"
    point_value: Decimal
    margin_per_lot: Decimal
    units_per_lot: tuple[tuple[date, int], ...]
    risk_percent: tuple[Decimal, Decimal] = (Decimal(1), Decimal(1))
    volatility_percent: tuple[Decimal, Decimal] = (Decimal("0.5"), Decimal("0.7"))
    stop_k: tuple[Decimal, Decimal] = (Decimal("1.5"), Decimal("2.5"))
    pyramids_max: int = 3
    strike_step: int = 500
    strike_tie: int = 1000
    rollover_days: int = 7
    tick: Decimal = Decimal("0.05")
    chase: ChaseLimits | None = None
    protective_stop: bool = False
    freeze_quantity: int | None = None
    bar_minutes: Decimal = Decimal(0)
    costs: Tariff = FREE

    def units_on(self, day: date) -> int:
        """Broker units in one lot of the contract that expires on that day."""
        return max((entry for entry in self.units_per_lot if entry[0] <= day), default=(day, 1))[1]

    @property
    def unit_value(self) -> Decimal:
        """Rupees for one point and one broker unit; the same whatever a lot holds."""
        return self.point_value / max(self.units_per_lot)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits over a whole portfolio, as percentages of equity (PF-3, PF-4)."""

    risk_percent: Decimal = Decimal(15)
    volatility_percent: Decimal = Decimal(5)
    margin_percent: Decimal = Decimal(60)
    pyramid_risk_percent: Decimal = Decimal(12)
    pyramid_volatility_percent: Decimal = Decimal(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Safety switches at decision time (SIG-18), in percent.

    divergence: of a signal's price from the market's, by which an entry is refused, or an exit
    warned of. margin: of equity in use, at which entries are warned of, or refused. needs_quote:
    whether an entry is refused where the broker was asked for a price and had none.
    """

    market_hours: bool = False
    needs_quote: bool = False
    base_divergence_percent: Decimal = Decimal(2)
    pyramid_divergence_percent: Decimal = Decimal(1)
    exit_divergence_percent: Decimal = Decimal(1)
    margin_warn_percent: Decimal = Decimal(50)
    margin_block_percent: Decimal = Decimal(80)


class EquityBase(enum.StrEnum):
    """Which equity sizes a trade (PF-5)."""

    EQUITY_HIGH = "equity_high"
    CLOSED = "closed"
    BLENDED = "blended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything the pure decisions need that is configuration.

    max_age_s: entries expire; max_age_by_type_s: some types at another age. duplicate_window_s: two
    entries of a kind for one slot within it are one. exit_retry_s: the pauses before an exit that
    ended short is issued again.
    """

    deployment: str
    instruments: Mapping[str, Instrument]
    caps: Caps = field(default_factory=Caps)
    switches: Switches = field(default_factory=Switches)
    equity_base: EquityBase = EquityBase.EQUITY_HIGH
    peel_off: bool = False
    max_age_s: Decimal = Decimal(60)
    max_age_by_type_s: Mapping[SignalKind, Decimal] = field(default_factory=dict)
    direct_broker: str = "binance"
    direct_account: str = "paper"
    direct_costs: Tariff = FREE
    duplicate_window_s: Decimal = Decimal(60)
    exit_retry_s: tuple[int, ...] = (1, 2, 5, 15, 60)
    holidays: Mapping[str, frozenset[date]] = field(default_factory=dict)
    """Holidays by the instruments' `exchange`, for the expiry rules and the market hours."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """The account to use at each broker (`paper` where none is named)."""

    def max_age_of(self, kind: SignalKind) -> Decimal:
        """Seconds after which an entry of that kind is not executed any more (SIG-13)."""
        return self.max_age_by_type_s.get(kind, self.max_age_s)
