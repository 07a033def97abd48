"""Between rows and the words of the core; each column is named once."""

from __future__ import annotations

import json

from onefill.core.book import Account, Sizing, TimeBasis
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.instrument import Tariff
from onefill.core.intent import (
    Chase,
    IntentState,
    OrderIntent,
    OrderRequest,
    OrderType,
    Side,
    Verb,
)
from onefill.core.portfolio.equity import exposure
from onefill.core.position import Leg, Position, PositionStatus, Rollover
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Row

PositionLeg = tuple[PositionId, Leg]

POSITION: Columns[Position] = Columns(
    (
        Column("position_id", "text", lambda p: p.id),
        Column("portfolio", "text", lambda p: p.portfolio),
        Column("instrument", "text", lambda p: p.instrument),
        Column("lane", "text", lambda p: p.lane),
        Column("slot", "text", lambda p: p.slot),
        Column("status", "text", lambda p: p.status),
        Column("is_base_position", "boolean", lambda p: p.is_base),
        Column("opened_at", "timestamptz", lambda p: p.opened_at),
        Column("closed_at", "timestamptz", lambda p: p.closed_at),
        Column("lots", "integer", lambda p: p.lots),
        Column("units_per_lot", "integer", lambda p: p.units_per_lot),
        Column("point_value", "numeric", lambda p: p.point_value),
        Column("margin_per_lot", "numeric", lambda p: p.margin_per_lot),
        Column("signal_price", "numeric", lambda p: p.signal_price),
        Column("entry_price", "numeric", lambda p: p.entry_price),
        Column("stop", "numeric", lambda p: p.stop),
        Column("initial_stop", "numeric", lambda p: p.initial_stop),
        Column("highest_close", "numeric", lambda p: p.highest_close),
        Column("atr", "numeric", lambda p: p.atr),
        Column("last_price", "numeric", lambda p: p.last_price),
        Column("limiter", "text", lambda p: p.limiter),
        Column("strike", "integer", lambda p: p.strike),
        Column("expiry", "date", lambda p: p.expiry),
        Column("exits", "integer", lambda p: p.exits),
        Column("repairs", "integer", lambda p: p.repairs),
        Column("entry_signal_id", "bigint", lambda p: p.entry_signal_id),
        Column("next_exit_at", "timestamptz", lambda p: p.next_exit_at),
        Column("exit_signal_id", "bigint", lambda p: p.exit_signal_id),
        Column("reason", "text", lambda p: p.reason),
        Column("rollover_status", "text", lambda p: p.rollover),
        Column("rollover_count", "integer", lambda p: p.rollover_count),
        Column("rollover_pnl", "numeric", lambda p: p.rollover_pnl),
        Column("rollover_timestamp", "timestamptz", lambda p: p.rollover_timestamp),
        Column("rolled_from", "text", lambda p: p.rolled_from),
        Column("rolled_price", "numeric", lambda p: p.rolled_price),
        Column("carried_points", "numeric", lambda p: p.carried_points),
        Column("original_expiry", "date", lambda p: p.original_expiry),
        Column("original_strike", "integer", lambda p: p.original_strike),
        Column("original_entry_price", "numeric", lambda p: p.original_entry_price),
        Column("guards", "integer", lambda p: p.guards),
        Column("guard_at", "timestamptz", lambda p: p.guard_at),
        Column("realised_pnl", "numeric", lambda p: p.realised),
        Column("risk_amount", "numeric", lambda p: exposure(p).risk),
        Column("vol_amount", "numeric", lambda p: exposure(p).volatility),
        Column("version", "bigint", lambda p: p.version + 1),
    )
)

LEG: Columns[PositionLeg] = Columns(
    (
        Column("position_id", "text", lambda row: row[0]),
        Column("leg", "text", lambda row: row[1].name),
        Column("broker", "text", lambda row: row[1].broker),
        Column("account", "text", lambda row: row[1].account),
        Column("symbol", "text", lambda row: row[1].symbol),
        Column("exchange", "text", lambda row: row[1].exchange),
        Column("side", "text", lambda row: row[1].side),
        Column("quantity", "numeric", lambda row: row[1].quantity),
        Column("multiplier", "numeric", lambda row: row[1].multiplier),
        Column("bought_quantity", "numeric", lambda row: row[1].bought_quantity),
        Column("bought_value", "numeric", lambda row: row[1].bought_value),
        Column("sold_quantity", "numeric", lambda row: row[1].sold_quantity),
        Column("sold_value", "numeric", lambda row: row[1].sold_value),
        Column("cost_per_order", "numeric", lambda row: row[1].tariff.per_order),
        Column("buy_cost_percent", "numeric", lambda row: row[1].tariff.buy_percent),
        Column("sell_cost_percent", "numeric", lambda row: row[1].tariff.sell_percent),
        Column("orders", "integer", lambda row: row[1].orders),
    )
)

INTENT: Columns[OrderIntent] = Columns(
    (
        Column("client_order_id", "text", lambda i: i.client_order_id),
        Column("lane", "text", lambda i: i.lane),
        Column("portfolio", "text", lambda i: i.portfolio),
        Column("instrument", "text", lambda i: i.instrument),
        Column("signal_id", "bigint", lambda i: i.signal_id),
        Column("position_id", "text", lambda i: i.position_id),
        Column("source", "text", lambda i: i.source),
        Column("leg", "text", lambda i: i.leg),
        Column("action", "text", lambda i: i.action),
        Column("n", "integer", lambda i: i.n),
        Column("verb", "text", lambda i: i.verb),
        Column("broker", "text", lambda i: i.order.broker),
        Column("account", "text", lambda i: i.order.account),
        Column("symbol", "text", lambda i: i.order.symbol),
        Column("exchange", "text", lambda i: i.order.exchange),
        Column("side", "text", lambda i: i.order.side),
        Column("quantity", "numeric", lambda i: i.order.quantity),
        Column("order_type", "text", lambda i: i.order.order_type),
        Column("price", "numeric", lambda i: i.order.price),
        Column("trigger_price", "numeric", lambda i: i.order.trigger_price),
        Column("reduce_only", "boolean", lambda i: i.order.reduce_only),
        Column("adds_exposure", "boolean", lambda i: i.adds_exposure),
        Column("after", "text", lambda i: i.after),
        Column("target", "text", lambda i: i.target),
        Column("target_order_id", "text", lambda i: i.target_order_id),
        Column("valid_until", "timestamptz", lambda i: i.valid_until),
        Column("chase_round", "integer", lambda i: None if i.chase is None else i.chase.round),
        Column("state", "text", lambda i: i.state),
        Column("reason", "text", lambda i: i.reason),
        Column("decided_price", "numeric", lambda i: i.decided_price),
    )
)
"""What an intent is made with; the rest comes with its claim and with what the broker says."""

INTENT_READ = (
    INTENT.names
    + ", attempt, signed_at, expires_at, send_by, witnessed, broker_order_id"
    + ", filled_quantity, filled_value, chase_price, chase_since, chase_step, chase_steps_max"
)

INTENT_CHANGE: Columns[OrderIntent] = Columns(
    (
        Column("client_order_id", "text", lambda i: i.client_order_id),
        Column("state", "text", lambda i: i.state),
        Column("quantity", "numeric", lambda i: i.order.quantity),
        Column("price", "numeric", lambda i: i.order.price),
        Column("trigger_price", "numeric", lambda i: i.order.trigger_price),
        Column("after", "text", lambda i: i.after),
        Column("broker_order_id", "text", lambda i: i.broker_order_id),
        Column("filled_quantity", "numeric", lambda i: i.filled_quantity),
        Column("filled_value", "numeric", lambda i: i.filled_value),
        Column("reason", "text", lambda i: i.reason),
    )
)
"""What a settlement changes in an intent."""


def intent_of(row: Row) -> OrderIntent:
    """An intent as the core knows it."""
    price, after, position = row["price"], row["after"], row["position_id"]
    return OrderIntent(
        client_order_id=ClientOrderId(row["client_order_id"]),
        lane=Lane(row["lane"]),
        portfolio=row["portfolio"],
        instrument=row["instrument"],
        source=row["source"],
        leg=row["leg"],
        action=row["action"],
        n=row["n"],
        order=OrderRequest(
            broker=row["broker"],
            account=row["account"],
            symbol=row["symbol"],
            side=Side(row["side"]),
            quantity=row["quantity"],
            exchange=row["exchange"],
            order_type=OrderType(row["order_type"]),
            price=price,
            trigger_price=row["trigger_price"],
            reduce_only=row["reduce_only"],
        ),
        adds_exposure=row["adds_exposure"],
        signal_id=row["signal_id"],
        position_id=None if position is None else PositionId(position),
        verb=Verb(row["verb"]),
        target=None if row["target"] is None else ClientOrderId(row["target"]),
        target_order_id=row["target_order_id"],
        after=None if after is None else ClientOrderId(after),
        valid_until=row["valid_until"],
        state=IntentState(row["state"]),
        attempt=row["attempt"],
        signed_at=row["signed_at"],
        expires_at=row["expires_at"],
        send_by=row["send_by"],
        witnessed=tuple(json.loads(row["witnessed"])),
        broker_order_id=row["broker_order_id"],
        filled_quantity=row["filled_quantity"],
        filled_value=row["filled_value"],
        reason=row["reason"],
        chase=_chase_of(row),
        decided_price=row["decided_price"],
    )


def _chase_of(row: Row) -> Chase | None:
    if row["chase_round"] is None:
        return None
    return Chase(
        first_price=row["chase_price"],
        since=row["chase_since"],
        step=row["chase_step"],
        steps_max=row["chase_steps_max"],
        round=row["chase_round"],
    )


def leg_of(row: Row) -> Leg:
    """One leg of a position."""
    return Leg(
        name=row["leg"],
        broker=row["broker"],
        account=row["account"],
        symbol=row["symbol"],
        exchange=row["exchange"],
        side=Side(row["side"]),
        quantity=row["quantity"],
        multiplier=row["multiplier"],
        bought_quantity=row["bought_quantity"],
        bought_value=row["bought_value"],
        sold_quantity=row["sold_quantity"],
        sold_value=row["sold_value"],
        tariff=Tariff(
            per_order=row["cost_per_order"],
            buy_percent=row["buy_cost_percent"],
            sell_percent=row["sell_cost_percent"],
        ),
        orders=row["orders"],
    )


def position_of(row: Row, legs: tuple[Leg, ...]) -> Position:
    """A position with its legs."""
    return Position(
        id=PositionId(row["position_id"]),
        portfolio=row["portfolio"],
        instrument=row["instrument"],
        slot=row["slot"],
        status=PositionStatus(row["status"]),
        legs=legs,
        opened_at=row["opened_at"],
        lots=row["lots"],
        units_per_lot=row["units_per_lot"],
        point_value=row["point_value"],
        margin_per_lot=row["margin_per_lot"],
        signal_price=row["signal_price"],
        entry_price=row["entry_price"],
        stop=row["stop"],
        initial_stop=row["initial_stop"],
        highest_close=row["highest_close"],
        atr=row["atr"],
        last_price=row["last_price"],
        limiter=row["limiter"],
        strike=row["strike"],
        expiry=row["expiry"],
        exits=row["exits"],
        repairs=row["repairs"],
        entry_signal_id=row["entry_signal_id"],
        next_exit_at=row["next_exit_at"],
        exit_signal_id=row["exit_signal_id"],
        reason=row["reason"],
        closed_at=row["closed_at"],
        rollover=Rollover(row["rollover_status"]),
        rollover_count=row["rollover_count"],
        rollover_pnl=row["rollover_pnl"],
        rollover_timestamp=row["rollover_timestamp"],
        rolled_from=None if row["rolled_from"] is None else PositionId(row["rolled_from"]),
        rolled_price=row["rolled_price"],
        carried_points=row["carried_points"],
        original_expiry=row["original_expiry"],
        original_strike=row["original_strike"],
        original_entry_price=row["original_entry_price"],
        guards=row["guards"],
        guard_at=row["guard_at"],
        version=row["version"],
    )


def account_of(row: Row) -> Account:
    """A portfolio's money."""
    return Account(
        portfolio=row["portfolio"],
        initial_capital=row["initial_capital"],
        movements=row["movements"],
        realised=row["realised_pnl"],
        high_water=row["equity_high"],
        sizing=Sizing(row["sizing"]),
        time_basis=TimeBasis(row["time_basis"]),
    )
