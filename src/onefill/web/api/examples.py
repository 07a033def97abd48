"""One trade as an example for every route: a base entry in Gold Mini, filled at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from onefill.ports.authority import LossRow
from onefill.ports.coordination import InstanceStatus, Reign, ShownOperation, ShownStep
from onefill.ports.rows import (
    AttemptRow,
    AuditRow,
    FillRow,
    InstanceRow,
    LeaderRow,
    LegRow,
    NodeStatus,
    OrderRow,
    OrderStory,
    PortfolioRow,
    PositionRow,
    PositionStory,
    ReconciliationRow,
    SignalRow,
    SignalStory,
    Standing,
    Step,
)
from onefill.ports.views import Page, TradingSwitch, Unblocked

_AT = datetime(2026, 1, 5, 9, 15, 0, 120000, UTC)
_SOON = _AT + timedelta(milliseconds=9)
_LATER = _AT + timedelta(milliseconds=48)
_BOOT = "0b9d2f4e-5d0c-4c37-9a53-3a0f5a0d9e11"
_FINGERPRINT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ORDER_ID = "ofab17k2m9x0qz4d8r5w"
_POSITION_ID = "p7k2m9x0qz4d8r5w"
_LANE = "main/GOLD_MINI"
_CONTRACT = "GOLDM05FEB26FUT"

SIGNAL = SignalRow(
    id=4211,
    fingerprint=_FINGERPRINT,
    lane=_LANE,
    engine="portfolio",
    kind="BASE_ENTRY",
    portfolio="main",
    instrument="GOLD_MINI",
    signal_time=_AT.replace(microsecond=0),
    received_at=_AT,
    received_by="prod",
    status="executed",
    reason=None,
    processed_by="prod",
    decided_at=_SOON,
    ended_at=_LATER,
    duplicates=0,
    last_duplicate_at=None,
    last_duplicate_layer=None,
)
SIGNALS: Page[SignalRow] = Page(items=(SIGNAL,), next_cursor="4211")

ORDER = OrderRow(
    client_order_id=_ORDER_ID,
    broker_order_id="260105000017",
    lane=_LANE,
    portfolio="main",
    instrument="GOLD_MINI",
    signal_id=SIGNAL.id,
    position_id=_POSITION_ID,
    source=_FINGERPRINT,
    leg="fut",
    action="open",
    n=1,
    verb="place",
    broker="openalgo",
    account="paper",
    venue="paper",
    symbol=_CONTRACT,
    exchange="MCX",
    side="BUY",
    quantity=Decimal(200),
    order_type="MARKET",
    price=None,
    trigger_price=None,
    reduce_only=False,
    adds_exposure=True,
    after=None,
    target=None,
    valid_until=_AT + timedelta(seconds=60),
    state="FILLED",
    attempt=1,
    filled_quantity=Decimal(200),
    average_price=Decimal("78502.5"),
    reason=None,
    decided_price=Decimal(78500),
    created_at=_SOON,
    updated_at=_LATER,
)
ORDERS: Page[OrderRow] = Page(items=(ORDER,), next_cursor=None)
ORDER_STORY = OrderStory(
    order=ORDER,
    attempts=(
        AttemptRow(
            attempt=1,
            instance="prod",
            boot=_BOOT,
            epoch=7,
            claimed_at=_SOON,
            signed_at=_SOON,
            expires_at=None,
            send_by=_SOON + timedelta(seconds=2),
            request_hash="2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            outcome="placed",
            outcome_at=_LATER,
            detail=None,
            broker_order_id="260105000017",
        ),
    ),
    fills=(
        FillRow(
            side="BUY",
            symbol=_CONTRACT,
            quantity=Decimal(200),
            cumulative_quantity=Decimal(200),
            price=Decimal("78502.5"),
            value=Decimal(15700500),
            trade_ids=("88121",),
            booked_at=_LATER,
        ),
    ),
)

POSITION = PositionRow(
    position_id=_POSITION_ID,
    portfolio="main",
    instrument="GOLD_MINI",
    lane=_LANE,
    slot="Long_1",
    status="open",
    is_base_position=True,
    opened_at=_SOON,
    closed_at=None,
    lots=2,
    units_per_lot=100,
    point_value=Decimal(10),
    margin_per_lot=Decimal(105000),
    signal_price=Decimal(78500),
    entry_price=Decimal("78502.5"),
    stop=Decimal(77800),
    initial_stop=Decimal(77800),
    highest_close=Decimal(78500),
    atr=Decimal(450),
    last_price=Decimal(78600),
    limiter="volatility",
    strike=None,
    expiry=date(2026, 2, 5),
    exits=0,
    next_exit_at=None,
    realised=Decimal(0),
    unrealised=Decimal(1950),
    risk_contribution=Decimal("0.32"),
    vol_contribution=Decimal("0.18"),
    reason=None,
    version=2,
    legs=(
        LegRow(
            leg="fut",
            broker="openalgo",
            account="paper",
            symbol=_CONTRACT,
            exchange="MCX",
            side="BUY",
            quantity=Decimal(200),
            multiplier=Decimal("0.1"),
            net=Decimal(200),
            entry_price=Decimal("78502.5"),
            realised=Decimal(0),
            costs=Decimal("78.5"),
            slippage=Decimal(50),
        ),
    ),
)
POSITIONS: Page[PositionRow] = Page(items=(POSITION,), next_cursor=None)
POSITION_STORY = PositionStory(position=POSITION, orders=(ORDER_STORY,))

_NUMBERS = {
    "equity": "5000000",
    "risk_lots": "3.04",
    "volatility_lots": "2.22",
    "margin_lots": "28.57",
    "limiter": "volatility",
    "lots": "2",
}
SIGNAL_STORY = SignalStory(
    signal=SIGNAL,
    payload={"type": "BASE_ENTRY", "instrument": "GOLD_MINI", "position": "Long_1", "price": 78500},
    timeline=(
        Step(at=_AT, status="received", reason=None, numbers=None, instance="prod", epoch=None),
        Step(at=_SOON, status="decided", reason=None, numbers=_NUMBERS, instance="prod", epoch=7),
        Step(at=_LATER, status="executed", reason=None, numbers=None, instance="prod", epoch=7),
    ),
    limiter="volatility",
    orders=(ORDER_STORY,),
    positions=(POSITION,),
)

PORTFOLIO = PortfolioRow(
    portfolio="main",
    sizing="own",
    time_basis="now",
    initial_capital=Decimal(5000000),
    movements=Decimal(0),
    realised=Decimal(0),
    closed_equity=Decimal(5000000),
    unrealised=Decimal(1950),
    open_equity=Decimal(5001950),
    blended_equity=Decimal(5000975),
    equity_high=Decimal(5000000),
    total_risk_amount=Decimal(16000),
    total_risk_percent=Decimal("0.32"),
    total_vol_amount=Decimal(9000),
    total_vol_percent=Decimal("0.18"),
    margin_used=Decimal(210000),
    positions=1,
    unpriced=0,
    version=3,
    updated_at=_LATER,
)

NODE = NodeStatus(
    instance="prod",
    version="0.1.0",
    state="ACTIVE",
    is_active=True,
    epoch=7,
    mode="active-active",
    topology="shared-database",
    live=False,
    redis_connected=None,
    metrics={
        "db_sync_success": 5123,
        "db_sync_failure": 0,
        "db_sync_failure_rate": 0.0,
        "db_sync_avg_latency_ms": 1.9,
        "leadership_changes": 2,
        "last_heartbeat": _LATER.isoformat(),
        "current_leader_redis": None,
        "current_leader_db": "prod",
        "this_instance": "prod",
        "is_leader": True,
        "heartbeat_running": True,
    },
)
LEADER = LeaderRow(instance="prod", epoch=7, remaining_ms=1010, url="http://10.0.0.5:8095")
STANDING = Standing(
    paused=False,
    exits_paused=False,
    paused_by=None,
    paused_at=None,
    in_doubt=0,
    quarantined=0,
    blocked_lanes=(),
)
_INSTANCE = InstanceRow(
    instance="prod",
    boot=_BOOT,
    state="ACTIVE",
    status="active",
    is_leader=True,
    leader_acquired_at=_AT,
    started_at=_AT - timedelta(hours=3),
    last_heartbeat=_LATER,
    heartbeat_age_ms=1800,
    stale=False,
    last_signal_processed=_LATER,
    hostname="trader-1",
    port=8095,
    url="http://10.0.0.5:8095",
    version="0.1.0",
)
INSTANCES = (
    replace(_INSTANCE, instance="dev", is_leader=False, leader_acquired_at=None, state="STANDBY"),
    _INSTANCE,
)
OPERATION = ShownOperation(
    id="6f1c1f0e-6f0b-5d2c-9c50-0d7b8a2f4e11",
    requester="dev",
    expected_epoch=7,
    force=False,
    step="draining",
    ended=False,
    steps=(
        ShownStep(step="requested", at=_AT, by="dev", detail=None),
        ShownStep(step="ready", at=_SOON, by="dev", detail=None),
        ShownStep(step="draining", at=_LATER, by="prod", detail=None),
    ),
)
INSTANCE_STATUS = InstanceStatus(
    instance_id="dev",
    is_active=False,
    active_instance="prod",
    other_alive=True,
    other_stale=False,
    last_heartbeat=_LATER,
    can_take_control=False,
    state="CANDIDATE",
    epoch=7,
    redis_connected=None,
    database_connected=True,
    operation=OPERATION,
)
HISTORY = (
    Reign(
        epoch=6,
        instance="dev",
        hostname="workshop",
        became_at=_AT - timedelta(minutes=5),
        released_at=_AT,
        duration_ms=300_000,
        reason="takeover",
        end_reason="takeover",
    ),
    Reign(
        epoch=7,
        instance="prod",
        hostname="server",
        became_at=_AT,
        released_at=None,
        duration_ms=48,
        reason="takeover",
        end_reason=None,
    ),
)
RECONCILIATION = ReconciliationRow(
    id=12,
    at=_AT,
    instance="prod",
    epoch=7,
    trigger="regular",
    clean=False,
    report={
        "clean": False,
        "unreachable": [],
        "findings": [
            {
                "kind": "quantity",
                "broker": "openalgo",
                "account": "paper",
                "symbol": _CONTRACT,
                "ours": "200",
                "theirs": "0",
                "detail": "",
                "broker_order_id": None,
                "proposal": "ask",
                "applied": False,
                "blocks": False,
                "remedy": "Compare the fills with the broker's trade book.",
            }
        ],
    },
)
LOSS = LossRow(
    noticed_at=_AT,
    noticed_by="prod",
    kind="lower_position",
    found="the database's log ends before a place that was durable in it",
)
PAUSED = TradingSwitch(paused=True, exits_paused=False, by="operator", at=_AT, changed=True)
RESUMED = TradingSwitch(paused=False, exits_paused=False, by="operator", at=_LATER, changed=True)
AUDIT: Page[AuditRow] = Page(
    items=(
        AuditRow(
            id=31,
            at=_AT,
            actor="operator",
            address="10.0.0.9",
            action="trading.pause",
            details={"note": "exchange maintenance", "changed": True, "exits": False},
        ),
    ),
    next_cursor=None,
)
RESOLUTION = {
    "outcome": "placed",
    "broker_order_id": "250105000017",
    "filled_quantity": "200",
    "average_price": "78502.5",
    "note": "complete in the broker's order book",
}
REPETITION = {"confirm": True, "note": "not in the broker's book; wanted still"}
UNBLOCKED = Unblocked(lane=_LANE, was="contradiction")
ACCEPTANCE = {
    "broker": "binance",
    "account": "paper",
    "broker_order_id": "1000000017",
    "note": "from before the database was restored",
}
