"""How orders are sent and settled, and what accounts never do."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from onefill.config.section import Number, Section

PAPER_ACCOUNT = "paper"
NO_LIMIT = Decimal(0)


class OrderSettings(Section):
    """How orders are sent, and when looking for a lost one ends."""

    send_within_ms: int = Field(
        default=1000,
        ge=10,
        le=60_000,
        description="A claimed order that is not written to its socket within this time is never "
        "sent.",
    )
    quarantine_after_s: int = Field(
        default=120,
        ge=1,
        description="How long an order in doubt is looked for at a broker that cannot say for "
        "certain (class C), before it goes to a person.",
    )
    look_again_every_s: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="How often quarantined orders, and for an hour those that a person ruled "
        "not_placed, are looked for again: late evidence still wins.",
    )
    repeat_alarm_every_s: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="How often the alarm of a quarantined order is repeated until a person "
        "acknowledges it.",
    )
    may_send_every_s: int = Field(
        default=15,
        ge=1,
        le=3600,
        description="How often brokers are asked whether they take orders from this instance.",
    )
    poll_first_ms: int = Field(
        default=5,
        ge=1,
        le=3_600_000,
        description="How soon a new order at a broker is asked for its fills; the pauses double.",
    )
    poll_slowest_ms: int = Field(
        default=1000,
        ge=1,
        le=3_600_000,
        description="The longest pause between two questions for an order's fills; a broker's "
        "stream, where there is one, tells of them at once.",
    )
    reconcile_every_s: int = Field(
        default=300,
        ge=5,
        le=86_400,
        description="How often the leader compares its book with the brokers'.",
    )
    watch_stops_every_s: int = Field(
        default=10,
        ge=1,
        le=3600,
        description="How often the leader compares stops that wait at a broker without "
        "reduce-only orders with what is held there: one question for its positions.",
    )
    book_evidence: bool = Field(
        default=True,
        description="Book what a reconciliation finds that a broker says of our own orders (a "
        "missed fill, an end) without asking; everything else always waits for a person.",
    )
    book_hand_trades: bool = Field(
        default=False,
        description="Book what was traded by hand to the positions that it changed, without "
        "asking, where orders at the broker explain it to the unit; else a person does "
        "(`onefill reconcile --apply`).",
    )


class LimitSettings(Section):
    """Hard limits of one account, or of one symbol there; 0 is no limit."""

    broker: Literal["binance", "openalgo"] = Field(default="binance", description="The broker.")
    account: str = Field(
        default=PAPER_ACCOUNT, min_length=1, description="The account there, by its name here."
    )
    symbol: str = Field(default="", description="Only this symbol, counted apart; empty is all.")
    quantity_max: Number = Field(
        default=NO_LIMIT,
        ge=0,
        description="The largest quantity of one order that opens, in units.",
    )
    notional_max: Number = Field(
        default=NO_LIMIT,
        ge=0,
        description="The most that one order that opens may be worth, in money; an order at market "
        "without a known price counts as too large.",
    )
    orders_a_minute: int = Field(
        default=0,
        ge=0,
        description="The most orders in a minute; exits above it wait, entries end and block.",
    )
    daily_loss: Number = Field(
        default=NO_LIMIT,
        ge=0,
        description="After so much realised loss since midnight UTC nothing opens any more.",
    )

    @property
    def name(self) -> str:
        """What is limited: `broker/account`, or `broker/account/symbol`."""
        return "/".join(filter(None, (self.broker, self.account, self.symbol)))
