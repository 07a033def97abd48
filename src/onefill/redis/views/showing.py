"""From what Redis holds to the rows that people see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from onefill.core.position import Position
from onefill.keeping.legs import leg_row, unrealised_of
from onefill.keeping.paging import read_json
from onefill.ports.rows import (
    AttemptRow,
    FillRow,
    InstanceRow,
    OrderRow,
    OrderStory,
    PositionRow,
    SignalRow,
    Step,
)
from onefill.redis.control.instances import STOPPED, Heard
from onefill.redis.documents import Texts, fill_of, moment_of, order_of, texts_of


def order_story(name: bytes, fields: Any, attempts: Any, fills: Sequence[bytes]) -> OrderStory:
    """One order with its attempts and fills, as stories.lua finds them."""
    texts = texts_of(fields)
    row = _order_row(texts)
    return OrderStory(
        order=row,
        attempts=_attempt_rows(texts_of(attempts)),
        fills=tuple(_fill_row(text, row) for text in fills),
    )


def position_row(position: Position, version: int) -> PositionRow:
    """One position with its legs; there is no equity here that shares could be of."""
    return PositionRow(
        position_id=position.id,
        portfolio=position.portfolio,
        instrument=position.instrument,
        lane=position.lane,
        slot=position.slot,
        status=position.status.value,
        is_base_position=position.is_base,
        opened_at=position.opened_at,
        closed_at=position.closed_at,
        lots=position.lots,
        units_per_lot=position.units_per_lot,
        point_value=position.point_value,
        margin_per_lot=position.margin_per_lot,
        signal_price=position.signal_price,
        entry_price=position.entry_price,
        stop=position.stop,
        initial_stop=position.initial_stop,
        highest_close=position.highest_close,
        atr=position.atr,
        last_price=position.last_price,
        limiter=position.limiter,
        strike=position.strike,
        expiry=position.expiry,
        exits=position.exits,
        next_exit_at=position.next_exit_at,
        realised=position.realised,
        unrealised=unrealised_of(position.entry_price, position.last_price, position.legs),
        risk_contribution=None,
        vol_contribution=None,
        reason=position.reason,
        version=version,
        legs=tuple(leg_row(leg) for leg in position.legs),
    )


def signal_row(number: int, entry: Texts, state: Texts) -> SignalRow:
    """One signal, as its entry in the stream and what became of it say."""
    return SignalRow(
        id=number,
        fingerprint=entry["fingerprint"],
        lane=entry["lane"],
        engine=entry["engine"],
        kind=entry["kind"],
        portfolio=entry["portfolio"],
        instrument=entry["instrument"],
        signal_time=moment_of(entry["signal_time"]),
        received_at=moment_of(entry["received_at"]),
        received_by=entry["received_by"],
        status=state["status"],
        reason=state.get("reason") or None,
        processed_by=state.get("processed_by"),
        decided_at=_moment(state.get("decided_at")),
        ended_at=_moment(state.get("ended_at")),
        duplicates=int(state.get("duplicates", "0")),
        last_duplicate_at=_moment(state.get("last_duplicate_at")),
        last_duplicate_layer=state.get("last_duplicate_layer"),
    )


def steps_of(row: SignalRow, steps: Sequence[bytes]) -> tuple[Step, ...]:
    """A signal's way; its receipt is the first step."""
    received = Step(
        at=row.received_at,
        status="received",
        reason=None,
        numbers=None,
        instance=row.received_by,
        epoch=None,
    )
    return (received, *(_step(text) for text in steps))


def instance_row(heard: Heard, now: datetime, stale_after_s: float) -> InstanceRow:
    """One instance; a leader that fell silent is shown as crashed, never as leader (CTL-17)."""
    told, age = heard.presence, now - heard.at
    is_stale = age > timedelta(seconds=stale_after_s)
    return InstanceRow(
        instance=heard.instance,
        boot=str(heard.boot),
        state=told.state,
        status=_status(heard, is_stale=is_stale),
        is_leader=told.is_leader and not is_stale,
        leader_acquired_at=heard.leads_since,
        started_at=told.started_at,
        last_heartbeat=heard.at,
        heartbeat_age_ms=max(0, age // timedelta(milliseconds=1)),
        stale=is_stale,
        last_signal_processed=told.last_signal_processed,
        hostname=told.hostname,
        port=told.port,
        url=told.url,
        version=told.version,
    )


def _status(heard: Heard, *, is_stale: bool) -> str:
    if heard.presence.state == STOPPED:
        return "stopped"
    if is_stale:
        return "crashed" if heard.presence.is_leader else "stale"
    return "active"


def _order_row(texts: Texts) -> OrderRow:
    intent = order_of(texts["body"].encode())
    order, filled = intent.order, intent.filled_quantity
    return OrderRow(
        client_order_id=intent.client_order_id,
        broker_order_id=intent.broker_order_id,
        lane=intent.lane,
        portfolio=intent.portfolio,
        instrument=intent.instrument,
        signal_id=intent.signal_id,
        position_id=intent.position_id,
        source=intent.source,
        leg=intent.leg,
        action=intent.action,
        n=intent.n,
        verb=intent.verb.value,
        broker=order.broker,
        account=order.account,
        venue=texts["venue"],
        symbol=order.symbol,
        exchange=order.exchange,
        side=order.side.value,
        quantity=order.quantity,
        order_type=order.order_type.value,
        price=order.price,
        trigger_price=order.trigger_price,
        reduce_only=order.reduce_only,
        adds_exposure=intent.adds_exposure,
        after=intent.after,
        target=intent.target,
        valid_until=intent.valid_until,
        state=intent.state.value,
        attempt=intent.attempt,
        filled_quantity=filled,
        average_price=intent.filled_value / filled if filled else None,
        decided_price=intent.decided_price,
        reason=intent.reason,
        created_at=moment_of(texts["made"]),
        updated_at=moment_of(texts["changed"]),
    )


def _attempt_rows(texts: Texts) -> tuple[AttemptRow, ...]:
    numbers = sorted(int(name) for name in texts if name.isdigit())
    return tuple(_attempt_row(number, texts) for number in numbers)


def _attempt_row(number: int, texts: Texts) -> AttemptRow:
    made = json.loads(texts[str(number)])
    claimed = json.loads(texts[f"{number}:claimed"])
    heard_at, _, said = (
        texts.get(f"{number}:placed") or texts.get(f"{number}:last", "")
    ).partition(" ")
    outcome, detail, broker_order_id = json.loads(said) if said else (None, None, None)
    return AttemptRow(
        attempt=number,
        instance=made["instance"],
        boot=made["boot"],
        epoch=claimed["epoch"] or 0,
        claimed_at=datetime.fromisoformat(claimed["claimed_at"]),
        signed_at=datetime.fromisoformat(made["signed_at"]),
        expires_at=_time(made["expires_at"]),
        send_by=datetime.fromisoformat(claimed["send_by"]),
        request_hash=made["hash"],
        outcome=outcome,
        outcome_at=_moment(heard_at),
        detail=detail,
        broker_order_id=broker_order_id,
    )


def _fill_row(text: bytes, order: OrderRow) -> FillRow:
    fill = fill_of(text)
    booked_at = datetime.fromisoformat(msgspec.json.decode(text)["booked_at"])
    return FillRow(
        side=order.side,
        symbol=order.symbol,
        quantity=fill.quantity,
        cumulative_quantity=fill.cumulative_quantity,
        price=fill.price,
        value=fill.value,
        trade_ids=fill.trade_ids,
        booked_at=booked_at,
    )


def _step(text: bytes) -> Step:
    facts = json.loads(text)
    numbers, at = read_json(facts["numbers"]), datetime.fromisoformat(facts["at"])
    return Step(**{**facts, "numbers": numbers, "at": at})


def _moment(microseconds: str | None) -> datetime | None:
    return moment_of(microseconds) if microseconds else None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
