"""Read models: rows and stories as people see them, each a frozen copy of one moment.

Money, prices and quantities are Decimal (strings in JSON), times are UTC, ids are text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from onefill.ports.authority import LossRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    """One alert as the log holds it. fingerprint in hex; status and reason as of SIG-14."""

    id: int
    fingerprint: str
    lane: str
    engine: str
    kind: str
    portfolio: str
    instrument: str
    signal_time: datetime
    received_at: datetime
    received_by: str
    status: str
    reason: str | None
    processed_by: str | None
    decided_at: datetime | None
    ended_at: datetime | None
    duplicates: int
    last_duplicate_at: datetime | None
    last_duplicate_layer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a signal's life; numbers: the figures that explain it."""

    at: datetime
    status: str
    reason: str | None
    numbers: Mapping[str, object] | None
    instance: str
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """One order intent. quantity in the broker's unit; average_price of what is filled."""

    client_order_id: str
    broker_order_id: str | None
    lane: str
    portfolio: str
    instrument: str
    signal_id: int | None
    position_id: str | None
    source: str
    leg: str
    action: str
    n: int
    verb: str
    broker: str
    account: str
    venue: str
    symbol: str
    exchange: str
    side: str
    quantity: Decimal
    order_type: str
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    adds_exposure: bool
    after: str | None
    target: str | None
    valid_until: datetime | None
    state: str
    attempt: int
    filled_quantity: Decimal
    average_price: Decimal | None
    reason: str | None
    decided_price: Decimal | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt to send an order; request_hash (SHA-256) in hex."""

    attempt: int
    instance: str
    boot: str
    epoch: int
    claimed_at: datetime
    signed_at: datetime
    expires_at: datetime | None
    send_by: datetime
    request_hash: str
    outcome: str | None
    outcome_at: datetime | None
    detail: str | None
    broker_order_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One booked fill; value is Σ quantity·price, cumulative_quantity the order's so far."""

    side: str
    symbol: str
    quantity: Decimal
    cumulative_quantity: Decimal
    price: Decimal
    value: Decimal
    trade_ids: tuple[str, ...]
    booked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStory:
    """An order with every attempt that was made and every fill that was booked, oldest first."""

    order: OrderRow
    attempts: tuple[AttemptRow, ...]
    fills: tuple[FillRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRow:
    """One contract of a position. net: held now, signed, in the broker's unit.

    realised: before costs. slippage: what its fills cost beyond the prices that they were decided
    at; negative where they were better, None where no such price is known of one of them.
    """

    leg: str
    broker: str
    account: str
    symbol: str
    exchange: str
    side: str
    quantity: Decimal
    multiplier: Decimal
    net: Decimal
    entry_price: Decimal | None
    realised: Decimal
    costs: Decimal
    slippage: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One position. realised (after costs) and unrealised in money (unrealised None: no price is
    known); risk_contribution and vol_contribution in percent of equity."""

    position_id: str
    portfolio: str
    instrument: str
    lane: str
    slot: str
    status: str
    is_base_position: bool
    opened_at: datetime
    closed_at: datetime | None
    lots: int
    units_per_lot: int
    point_value: Decimal
    margin_per_lot: Decimal
    signal_price: Decimal | None
    entry_price: Decimal | None
    stop: Decimal | None
    initial_stop: Decimal | None
    highest_close: Decimal | None
    atr: Decimal | None
    last_price: Decimal | None
    limiter: str | None
    strike: int | None
    expiry: date | None
    exits: int
    next_exit_at: datetime | None
    realised: Decimal
    unrealised: Decimal | None
    risk_contribution: Decimal | None
    vol_contribution: Decimal | None
    reason: str | None
    version: int
    legs: tuple[LegRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionStory:
    """A position with all its orders, oldest first."""

    position: PositionRow
    orders: tuple[OrderStory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStory:
    """A signal's whole way: payload, steps, what it was limited by, orders, positions."""

    signal: SignalRow
    payload: Mapping[str, object] | None
    timeline: tuple[Step, ...]
    limiter: str | None
    orders: tuple[OrderStory, ...]
    positions: tuple[PositionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRow:
    """A portfolio's money (PF-5). unpriced: open positions that `unrealised` leaves out."""

    portfolio: str
    sizing: str
    time_basis: str
    initial_capital: Decimal
    movements: Decimal
    realised: Decimal
    closed_equity: Decimal
    unrealised: Decimal
    open_equity: Decimal
    blended_equity: Decimal
    equity_high: Decimal
    total_risk_amount: Decimal
    total_risk_percent: Decimal | None
    total_vol_amount: Decimal
    total_vol_percent: Decimal | None
    margin_used: Decimal
    positions: int
    unpriced: int
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One instance. stale: no heartbeat for too long; a stale leader is `crashed` (CTL-17)."""

    instance: str
    boot: str
    state: str
    status: str
    is_leader: bool
    leader_acquired_at: datetime | None
    started_at: datetime
    last_heartbeat: datetime
    heartbeat_age_ms: int
    stale: bool
    last_signal_processed: datetime | None
    hostname: str | None
    port: int | None
    url: str | None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderRow:
    """The lease on `leader` by the store's clock; instance None: nobody may act now."""

    instance: str | None
    epoch: int
    remaining_ms: int
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRow:
    """One comparison of our book with the broker's (ORD-9)."""

    id: int
    at: datetime
    instance: str
    epoch: int | None
    trigger: str
    clean: bool
    report: object


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Who did what, when, from where."""

    id: int
    at: datetime
    actor: str
    address: str | None
    action: str
    details: object


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLane:
    """A lane that takes no new exposure, and why."""

    lane: str
    reason: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedRow:
    """What should have been heard, and was not (SIG-21). kind: `bar`, `sequence` or `position`.

    subject: the instrument, or the lane. says: what a person should look at. cleared_at: when it
    came right; None while it has not.
    """

    id: int
    kind: str
    subject: str
    says: str
    since: datetime
    raised_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a person must know first. paused: new exposure is. exits_paused: exits as well."""

    paused: bool
    exits_paused: bool
    paused_by: str | None
    paused_at: datetime | None
    in_doubt: int
    quarantined: int
    blocked_lanes: tuple[BlockedLane, ...]
    missed: tuple[MissedRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What an instance knows of itself without asking a store. is_active: able to act.

    live: whether any order of this instance can reach real money. spooled: signals that wait in
    its local spool. loss: that the database lost commits, while that is not explained. metrics:
    under the names of IF-5.
    """

    instance: str
    version: str
    state: str
    is_active: bool
    epoch: int | None
    mode: str
    topology: str
    live: bool
    redis_connected: bool | None = None
    redis_leader: str | None = None
    spooled: int = 0
    loss: LossRow | None = None
    metrics: Mapping[str, str | float | bool | None] = field(default_factory=dict)
