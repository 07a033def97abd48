"""Every setting: its name (units last), its type, its default and its meaning.

The lower part of the house reads settings only from here. The environment names are derived
from the keys (`lease.ttl_ms` is ONEFILL_LEASE__TTL_MS); the two database addresses have the short
names of the harness contract as well. Source: IF-8, IF-13.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from onefill.config.brokers import BrokerSettings, BrokersSettings
from onefill.config.control import LeaseSettings, SpoolSettings, TakeoverSettings
from onefill.config.instruments import (
    CapsSettings,
    CostSettings,
    InstrumentSettings,
    MaxAgeSettings,
    QuoteSettings,
    SwitchSettings,
)
from onefill.config.orders import LimitSettings, OrderSettings
from onefill.config.section import NOTHING, Number, Section
from onefill.core.instrument import EquityBase

SHARED_REDIS_TTL_MS = 1_500
BROKERS = ("binance", "openalgo")


class Topology(enum.StrEnum):
    """Which server is the authority."""

    SHARED_DATABASE = "shared-database"
    SHARED_REDIS = "shared-redis"


class Mode(enum.StrEnum):
    """Who executes."""

    ACTIVE_ACTIVE = "active-active"
    ACTIVE_STANDBY = "active-standby"


class Role(enum.StrEnum):
    """What this instance does of the work."""

    ALL = "all"
    INTAKE = "intake"
    EXECUTOR = "executor"

    @property
    def takes_in(self) -> bool:
        """Whether webhooks are taken in."""
        return self is not Role.EXECUTOR

    @property
    def executes(self) -> bool:
        """Whether signals are decided and orders sent."""
        return self is not Role.INTAKE


class DatabaseSettings(Section):
    """Where signals, intents and positions are kept."""

    url: SecretStr = Field(
        default=NOTHING,
        description="PostgreSQL, as postgresql://user:password@host:port/database; empty starts "
        "the embedded one under the data directory.",
    )
    pooled: bool = Field(
        default=False,
        description="A transaction pooler (PgBouncer) stands before it: nothing is kept in a "
        "session then, so that a dead leader is noticed only when its lease runs out.",
    )


class RedisSettings(Section):
    """What makes instances quicker to hear of each other. Without it nothing is lost."""

    url: SecretStr = Field(
        default=NOTHING,
        description="Redis or Valkey, as redis://, rediss:// or unix://, for messages between "
        "instances, hints and a witness of epochs; empty is database-only mode.",
    )


class StrategySettings(Section):
    """What is set for one portfolio."""

    live: bool = Field(
        default=False, description="Let this portfolio trade real money at live brokers."
    )


class SessionSettings(Section):
    """A day that trades at hours of its own, by the exchange's clock."""

    day: date = Field(description="Which day, a weekend or a holiday too.")
    opens: time = Field(description="When it opens.")
    closes: time = Field(description="When it closes.")

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("a session has to close after it opens")
        return self


class HolidaySettings(Section):
    """Corrections to one exchange's holidays."""

    add: frozenset[date] = Field(
        default=frozenset(), description="Days on which it is closed after all, all day."
    )
    evening: frozenset[date] = Field(
        default=frozenset(),
        description="Days on which only the evening session trades (MCX, from 17:00).",
    )
    remove: frozenset[date] = Field(
        default=frozenset(),
        description="Days on which it is open after all, at the usual hours; weekends too.",
    )
    sessions: tuple[SessionSettings, ...] = Field(
        default=(),
        description="Days that trade at other hours, weekends and holidays too: "
        '[{day = 2026-11-08, opens = "18:00", closes = "19:00"}].',
    )


class JobSettings(Section):
    """The leader's background jobs: how often they start, and what they keep. Source: CTL-20."""

    rollover_every_s: Number = Field(
        default=Decimal(3_600),
        gt=0,
        description="Looking for positions whose contract ends soon, in market hours.",
    )
    listings_every_s: Number = Field(
        default=Decimal(86_400),
        gt=0,
        description="Asking brokers which contracts they list, with their expiries and lots.",
    )
    sweep_every_s: Number = Field(
        default=Decimal(60), gt=0, description="Looking for work that was left lying."
    )
    watch_every_s: Number = Field(
        default=Decimal(15),
        gt=0,
        description="Looking for signals that should have come; at the most a quarter of a bar.",
    )
    watch_grace_s: Number = Field(
        default=Decimal(60),
        gt=0,
        description="How late such a signal may be before it is missed; at the most half a bar.",
    )
    statistics_every_s: Number = Field(
        default=Decimal(86_400), gt=0, description="Computing trading_statistics from fills."
    )
    cleanup_every_s: Number = Field(
        default=Decimal(86_400),
        gt=0,
        description="Emptying old payloads, deleting old records, making room for the next year.",
    )
    archive_every_s: Number = Field(
        default=Decimal(600), gt=0, description="Putting aside instances that are gone."
    )
    payloads_days: Number = Field(
        default=Decimal(7),
        gt=0,
        description="How long a signal's payload is kept after it has ended; its fingerprint stays "
        "for ever.",
    )
    archive_after_s: Number = Field(
        default=Decimal(3_600),
        gt=0,
        description="An instance not heard of for so long is put aside.",
    )


def _off_or_number(value: object) -> object:
    return 0 if isinstance(value, str) and value.strip().lower() == "off" else value


class Settings(Section):
    """All settings of one instance."""

    instance_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")] = Field(
        default="",
        max_length=30,
        description="The name of this instance, its own among all; empty is host name and port.",
    )
    deployment: str = Field(
        default="one",
        pattern=r"^[a-z0-9]{3}$",
        description="Three lowercase letters or digits that mark this installation's orders at "
        "the brokers. Never change it while orders are open.",
    )
    topology: Topology = Field(
        default=Topology.SHARED_DATABASE,
        description="Who is the authority: PostgreSQL; or one durable Redis, for signals of the "
        "direct policy in the mode active-standby.",
    )
    mode: Mode = Field(
        default=Mode.ACTIVE_ACTIVE,
        description="Who executes: active-active lets every instance, and the leader does what "
        "may be done only once; active-standby lets the leader alone.",
    )
    active_by_default: bool = Field(
        default=False,
        description="Whether this instance should lead when nobody does: it does not wait for "
        "others at its start, and is the first to whom control is released.",
    )
    may_succeed: Literal["auto", "manual"] = Field(
        default="auto",
        description="Whether this instance takes control by itself when nobody holds it or the "
        "holder dies; manual waits for a person, at its start too.",
    )
    role: Role = Field(
        default=Role.ALL,
        description="intake takes in and never executes, executor the reverse, all both.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address to listen on; loopback unless told.",
    )
    port: int = Field(
        default=8095, ge=0, le=65_535, description="The port to listen on; 0 is any free."
    )
    data: Path = Field(
        default=Path("data"),
        description="The directory for the embedded database and local files; it outlives the "
        "process, and each instance has its own.",
    )
    venue_url: str = Field(
        default="http://127.0.0.1:9100",
        pattern=r"^https?://\S+$",
        description="The paper venue, where all that is not live trades.",
    )
    egress_address: str = Field(
        default="",
        description="The address by which this instance is seen from outside; empty asks "
        "egress_url.",
    )
    egress_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="A service that answers with its caller's address, as plain text.",
    )
    webhook_secret: SecretStr = Field(
        default=NOTHING,
        description="The secret that an alert must carry; without any, only this machine may send.",
    )
    webhook_secrets: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="More secrets by name, each as good as the first: one for each sender, or "
        "the old and the new one during a rotation.",
    )
    webhook_senders: tuple[str, ...] = Field(
        default=(),
        description="From where alerts may come: addresses, networks, or tradingview for its "
        "four addresses; empty is everywhere.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For is believed.",
    )
    standby_signals: Literal["accept", "reject"] = Field(
        default="accept",
        description="reject lets a standby answer alerts with not_leader, which destroys them; "
        "accept takes them in for whoever leads.",
    )
    operator_token: SecretStr = Field(
        default=NOTHING,
        description="The bearer token for reading and acting; empty allows no action.",
    )
    viewer_token: SecretStr = Field(
        default=NOTHING,
        description="The bearer token for reading; empty leaves reading to operators.",
    )
    rate_limit: Annotated[int, BeforeValidator(_off_or_number)] = Field(
        default=100, ge=0, description="Webhooks a minute from each sender; off (or 0) is no limit."
    )
    max_age_s: Number = Field(
        default=Decimal(60), gt=0, description="An entry older than this is not executed any more."
    )
    duplicate_window_s: Number = Field(
        default=Decimal(60),
        ge=0,
        description="Two entries of a type for one slot within this time are one, unless an "
        "order_id tells them apart.",
    )
    market_hours: bool = Field(
        default=True, description="Trade only while the exchange is open; off for demonstrations."
    )
    initial_capital: Number = Field(
        default=Decimal(5_000_000), gt=0, description="What a new portfolio starts with, in rupees."
    )
    equity_base: EquityBase = Field(
        default=EquityBase.EQUITY_HIGH,
        description="The equity that sizes trades: the high-water mark, closed, or blended.",
    )
    peel_off: bool = Field(
        default=False, description="Sell lots of a position whose ongoing risk exceeds its limit."
    )
    direct_broker: Literal["binance", "openalgo"] = Field(
        default="binance",
        description="The broker for signals that bring their own size (`action`).",
    )
    log_format: Literal["json", "text"] = Field(
        default="text", description="One event a line: json for machines, text for people."
    )
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    lease: LeaseSettings = LeaseSettings()
    takeover: TakeoverSettings = TakeoverSettings()
    spool: SpoolSettings = SpoolSettings()
    orders: OrderSettings = OrderSettings()
    brokers: BrokersSettings = BrokersSettings()
    jobs: JobSettings = JobSettings()
    caps: CapsSettings = CapsSettings()
    switches: SwitchSettings = SwitchSettings()
    direct_costs: CostSettings = CostSettings()
    quotes: QuoteSettings = QuoteSettings()
    max_age_by_type_s: MaxAgeSettings = MaxAgeSettings()
    strategies: Mapping[str, StrategySettings] = Field(
        default_factory=dict, description="Settings by portfolio."
    )
    instruments: Mapping[str, InstrumentSettings] = Field(
        default_factory=dict, description="Instruments to add, or to change."
    )
    limits: Mapping[str, LimitSettings] = Field(
        default_factory=dict,
        description="Hard limits of accounts and symbols, under any names; a breach ends the "
        "order, blocks its lane, and alarms.",
    )
    holidays: Mapping[str, HolidaySettings] = Field(
        default_factory=dict, description="Corrections to holidays, by exchange (NSE, MCX)."
    )

    @property
    def secrets(self) -> Mapping[str, str]:
        """The webhook secrets by name, without empty ones; `default` is `webhook_secret`."""
        named = {"default": self.webhook_secret, **self.webhook_secrets}
        return {name: s.get_secret_value() for name, s in named.items() if s.get_secret_value()}

    @property
    def lease_ttl_ms(self) -> int:
        """How long a lease lasts; in shared-redis a little longer, unless it is set."""
        is_default = "ttl_ms" not in self.lease.model_fields_set
        if self.topology is Topology.SHARED_REDIS and is_default:
            return SHARED_REDIS_TTL_MS
        return self.lease.ttl_ms

    def broker(self, name: str) -> BrokerSettings:
        """The settings of the broker of that name. Raises KeyError when there is none."""
        known: dict[str, BrokerSettings] = {
            "binance": self.brokers.binance,
            "openalgo": self.brokers.openalgo,
        }
        return known[name]

    def is_live(self, broker: str, portfolio: str) -> bool:
        """Whether orders of this portfolio at this broker move real money (ORD-14)."""
        strategy = self.strategies.get(portfolio, StrategySettings())
        return self.broker(broker).live and strategy.live
