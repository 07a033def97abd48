"""What may be set of an instrument, and of a portfolio's limits."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from onefill.config.section import Number, Section
from onefill.core.instrument import ExpiryRule, Structure
from onefill.core.money import ZERO


class UnitsFrom(Section):
    """A lot's size from a day on."""

    since: date = Field(
        date(2000, 1, 1),
        description="The first day of the series from which this size holds.",
    )
    units: int = Field(gt=0, description="Broker units in one lot.")


def _one_size(value: object) -> object:
    return [{"units": value}] if isinstance(value, int | str) else value


Pair = tuple[Number, Number]
Units = Annotated[tuple[UnitsFrom, ...], BeforeValidator(_one_size)]


class ChaseSettings(Section):
    """Orders that follow their price from the middle of the market, rather than pay at once."""

    step: Number = Field(
        default=ZERO, ge=0, description="Points that a limit moves at a time; 0: all at market."
    )
    every_s: Number = Field(default=Decimal("1.5"), gt=0, description="Seconds between steps.")
    steps_max: int = Field(
        default=10, ge=0, description="Steps after which the rest goes at market."
    )
    cost_max: Number = Field(
        default=Decimal(500),
        ge=0,
        description="Rupees for one lot that the limit may move, at the most.",
    )


class CostSettings(Section):
    """What trading costs, as far as the broker's statement tells; taken off realised profit."""

    per_order: Number = Field(
        default=ZERO, ge=0, description="Rupees for each order that trades (brokerage)."
    )
    buy_percent: Number = Field(
        default=ZERO, ge=0, description="Percent of the value bought: commission, charges, stamps."
    )
    sell_percent: Number = Field(
        default=ZERO, ge=0, description="Percent of the value sold: commission, charges, taxes."
    )


class InstrumentSettings(Section):
    """One instrument. For one that onefill knows, only what differs; see `config/rules.py`."""

    exchange: str | None = Field(
        default=None, description="The market, for hours and holidays (NSE, MCX)."
    )
    broker: str | None = Field(
        default=None, description="The broker that trades it (openalgo, binance)."
    )
    symbol_root: str | None = Field(
        default=None, description="What the broker's symbols begin with (BANKNIFTY)."
    )
    structure: Structure | None = Field(
        default=None, description="What a position is made of: synthetic_future or future."
    )
    expiry_rule: ExpiryRule | None = Field(
        default=None, description="When its monthly contract ends: last_tuesday or fifth."
    )
    zone: str | None = Field(default=None, description="The time zone of its signals without one.")
    point_value: Number | None = Field(
        default=None, gt=0, description="Rupees for one point and lot."
    )
    margin_per_lot: Number | None = Field(
        default=None, gt=0, description="Rupees of margin for one lot."
    )
    units_per_lot: Units | None = Field(
        default=None,
        description="Broker units in one lot: a number, or by the start of the series: "
        "[{since = 2026-01-01, units = 30}].",
    )
    risk_percent: Pair | None = Field(
        default=None, description="Risk of one position in percent of equity: [initial, ongoing]."
    )
    volatility_percent: Pair | None = Field(
        default=None,
        description="Volatility of one position in percent of equity: [initial, ongoing].",
    )
    stop_k: Pair | None = Field(
        default=None, description="Stop distance in ATRs: [initial, trailing]."
    )
    pyramids_max: int | None = Field(default=None, ge=0, le=5, description="Pyramids on one base.")
    strike_step: int | None = Field(
        default=None, gt=0, description="Strikes are multiples of this."
    )
    strike_tie: int | None = Field(
        default=None, gt=0, description="A tie goes to a multiple of this."
    )
    rollover_days: int | None = Field(
        default=None,
        ge=0,
        description="Calendar days before expiry at which entries use the next one.",
    )
    tick: Number | None = Field(
        default=None, gt=0, description="Points between two prices at the exchange."
    )
    protective_stop: bool | None = Field(
        default=None,
        description="Whether a stop order waits at the broker for each position; futures only.",
    )
    chase: ChaseSettings = Field(default_factory=ChaseSettings)
    freeze_quantity: int | None = Field(
        default=None,
        gt=0,
        description="Broker units above which the exchange takes no order; larger ones are sliced.",
    )
    costs: CostSettings = Field(default_factory=CostSettings)
    bar_minutes: Number | None = Field(
        default=None,
        ge=0,
        description="Length of its senders' bars: a signal is expected at each close, in market "
        "hours, and its absence alarms; 0: nothing is expected.",
    )


class SwitchSettings(Section):
    """Safety switches at decision time, in percent (SIG-18)."""

    base_divergence_percent: Number = Field(
        default=Decimal(2),
        gt=0,
        description="How far a base entry's price may be from the market's.",
    )
    pyramid_divergence_percent: Number = Field(
        default=Decimal(1), gt=0, description="How far a pyramid's price may be from the market's."
    )
    exit_divergence_percent: Number = Field(
        default=Decimal(1),
        gt=0,
        description="How far the market may be below an exit's price before somebody is told.",
    )
    margin_warn_percent: Number = Field(
        default=Decimal(50), gt=0, description="Margin in use, of equity, that somebody is told of."
    )
    margin_block_percent: Number = Field(
        default=Decimal(80), gt=0, description="Margin in use, of equity, that stops all entries."
    )


class QuoteSettings(Section):
    """The market's price, asked of the broker before the portfolio engine enters (SIG-18).

    Exits never wait for it.
    """

    ask: bool = Field(
        default=True, description="Ask; without it, prices are compared with nothing."
    )
    within_ms: int = Field(
        default=1_000, gt=0, description="How long an entry waits for the broker's answer."
    )
    max_age_ms: int = Field(default=2_000, gt=0, description="How long a price is good.")
    missing: Literal["trade", "reject"] = Field(
        default="trade",
        description="What becomes of an entry for which the broker has no price in time: traded "
        "with a warning, or rejected as no_quote.",
    )


class MaxAgeSettings(Section):
    """Another age than `max_age_s` for some types of entry; 0 is none other (SIG-13)."""

    base_entry: Number = Field(default=ZERO, ge=0, description="BASE_ENTRY; 0: as max_age_s.")
    pyramid: Number = Field(default=ZERO, ge=0, description="PYRAMID; 0: as max_age_s.")
    buy: Number = Field(default=ZERO, ge=0, description="Direct buys; 0: as max_age_s.")
    sell: Number = Field(default=ZERO, ge=0, description="Direct sells; 0: as max_age_s.")
    target: Number = Field(default=ZERO, ge=0, description="Direct targets; 0: as max_age_s.")


class CapsSettings(Section):
    """Limits over a whole portfolio, in percent of equity (PF-3, PF-4)."""

    risk_percent: Number = Field(
        default=Decimal(15), gt=0, description="All risk, for every entry."
    )
    volatility_percent: Number = Field(
        default=Decimal(5), gt=0, description="All volatility, every entry."
    )
    margin_percent: Number = Field(
        default=Decimal(60), gt=0, description="All margin, for every entry."
    )
    pyramid_risk_percent: Number = Field(
        default=Decimal(12), gt=0, description="All risk, for pyramids."
    )
    pyramid_volatility_percent: Number = Field(
        default=Decimal(4), gt=0, description="All volatility, for pyramids."
    )
