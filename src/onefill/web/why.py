"""Why a signal did or did not trade, as one page of words and numbers. Source: SIG-22."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from onefill.core.money import plain
from onefill.core.refusal import Refusal
from onefill.core.signal import SignalStatus
from onefill.ports.rows import FillRow, OrderRow, OrderStory, SignalStory, Step

_LIMITS = {
    "risk": "the risk allowed for one trade",
    "volatility": "the volatility allowed for one trade",
    "margin": "the free margin",
    "geometric_0.5^n": "half of the pyramid's step below",
    "risk_budget": "half of the base's excess profit",
    "signal": "nothing: the signal's own lots are taken",
}
_GIVEN = (("stop", "stop"), ("atr", "ATR"), ("er", "efficiency"))
"""What the sender says beside the price that sizes and stops."""
_LAYERS = {
    "in_flight": " while its first copy was being written",
    "memory": " by the instance that had logged it just before",
    "redis": " by another instance's word in Redis, and then in the log",
    "constraint": " by the log itself: its fingerprint was there",
}
_ENDS = {
    SignalStatus.EXECUTED: "It was executed.",
    SignalStatus.IGNORED: "It was ignored.",
    SignalStatus.REJECTED: "It was rejected.",
    SignalStatus.BLOCKED: "It was blocked.",
    SignalStatus.EXPIRED: "It expired.",
    SignalStatus.FAILED: "It failed.",
    SignalStatus.IN_DOUBT: "What became of its order is not known yet.",
    SignalStatus.RECEIVED: "It waits to be decided.",
    SignalStatus.DECIDED: "It is decided, and its orders are not sent yet.",
    SignalStatus.EXECUTING: "Its orders are on their way.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """answer: in one sentence, with what to do where something can be done. lines: how it came."""

    signal_id: int
    status: str
    reason: str | None
    answer: str
    lines: tuple[str, ...]


def explain(story: SignalStory) -> Why:
    """The whole way of a signal, in the order in which it went."""
    signal = story.signal
    return Why(
        signal_id=signal.id,
        status=signal.status,
        reason=signal.reason,
        answer=_answer(story),
        lines=(
            *_arrival(story),
            *(line for step in story.timeline[1:] for line in _step(step, signal.received_at)),
            *_sizing(story),
            *(line for order in story.orders for line in _order(order, signal.received_at)),
            *_slipping(story),
            *_costing(story),
            *_ending(story),
        ),
    )


def _answer(story: SignalStory) -> str:
    signal = story.signal
    said = _ENDS[SignalStatus(signal.status)]
    if signal.reason is None:
        return said
    refusal = Refusal.of(signal.reason)
    return f"{said} Reason: {signal.reason}." + (f" {refusal.remedy}" if refusal else "")


def _arrival(story: SignalStory) -> Iterator[str]:
    signal, payload = story.signal, story.payload or {}
    slot = f" {payload['position']}" if payload.get("position") else ""
    price = f" at {payload['price']}" if payload.get("price") else ""
    given = "".join(
        f", {word} {payload[name]}" for name, word in _GIVEN if payload.get(name) is not None
    )
    asked = f"{signal.kind}{slot} of {signal.instrument}{price}{given}"
    yield f"It asks for {asked}, in {signal.portfolio}."
    late = _span(signal.received_at - signal.signal_time)
    yield (
        f"{signal.received_by} received it at {signal.received_at:%Y-%m-%d %H:%M:%S.%f} UTC, "
        f"{late} after its own time of {signal.signal_time:%H:%M:%S}."
    )
    if not signal.duplicates:
        yield "It was new: no earlier signal had its fingerprint, and none came again."
        return
    last = f"{signal.last_duplicate_at:%H:%M:%S}" if signal.last_duplicate_at else "?"
    layer = _LAYERS.get(signal.last_duplicate_layer or "", "")
    times = "once more" if signal.duplicates == 1 else f"{signal.duplicates} more times"
    yield f"It came {times}, the last at {last}, and was recognised{layer}."


def _step(step: Step, received_at: datetime) -> Iterator[str]:
    after = _span(step.at - received_at)
    reason = f" ({step.reason})" if step.reason else ""
    epoch = f" in epoch {step.epoch}" if step.epoch is not None else ""
    yield f"+{after}: {step.status}{reason}, by {step.instance}{epoch}."
    if step.numbers:
        yield "  " + ", ".join(f"{name} = {value}" for name, value in step.numbers.items())


def _sizing(story: SignalStory) -> Iterator[str]:
    if story.limiter is not None:
        limit = _LIMITS.get(story.limiter, story.limiter.replace("_", " "))
        yield f"Its size was limited by {limit}."


def _order(story: OrderStory, received_at: datetime) -> Iterator[str]:
    order = story.order
    reason = f" ({order.reason})" if order.reason else ""
    yield (
        f"Order {order.client_order_id} ({order.action} {order.leg}): {order.side} "
        f"{plain(order.quantity)} {order.symbol} {_priced(order)}, {order.venue}: "
        f"{order.state}{reason}."
    )
    for attempt in story.attempts:
        heard = attempt.outcome or "nothing heard yet"
        told = f", +{_span(attempt.outcome_at - received_at)}" if attempt.outcome_at else ""
        yield (
            f"  attempt {attempt.attempt} by {attempt.instance}, sent "
            f"+{_span(attempt.claimed_at - received_at)}: {heard}{told}"
        )
    for fill in story.fills:
        yield (
            f"  filled {plain(fill.quantity)} at {plain(fill.price)}, "
            f"+{_span(fill.booked_at - received_at)}{_against(order, fill)}"
        )


def _against(order: OrderRow, fill: FillRow) -> str:
    """How far the fill is from the price that its order was decided at."""
    if order.decided_price is None or order.decided_price == fill.price:
        return ""
    off = fill.price - order.decided_price
    way = "worse" if (off > 0) is (order.side == "BUY") else "better"
    return f", {plain(round(abs(off), 4))} {way} than when it was decided"


def _priced(order: OrderRow) -> str:
    """How the order finds its price, as a person says it."""
    if order.trigger_price is not None:
        kind = order.order_type.lower().replace("_", " ")
        return f"as {kind} at {plain(order.trigger_price)}"
    return f"at limit {plain(order.price)}" if order.price is not None else "at market"


def _slipping(story: SignalStory) -> Iterator[str]:
    """What its fills cost beyond the price that it was decided at (PF-13)."""
    opened = {order.order.position_id for order in story.orders if order.order.adds_exposure}
    for position in story.positions:
        entered, asked = position.entry_price, position.signal_price
        if position.position_id not in opened or entered is None or asked is None:
            continue
        points = entered - asked
        if points == 0:
            yield f"It was entered at {plain(asked)}, just as it was decided."
            continue
        rupees = plain(round(abs(points) * position.lots * position.point_value, 2))
        way = "worse" if points > 0 else "better"
        yield (
            f"It was entered at {plain(round(entered, 4))}, {plain(round(abs(points), 4))} points "
            f"{way} than the {plain(asked)} that it was decided at: ₹{rupees} on {position.lots} "
            "lots."
        )


def _costing(story: SignalStory) -> Iterator[str]:
    for position in story.positions:
        costs = sum(leg.costs for leg in position.legs)
        if costs:
            yield f"Trading the position has cost ₹{plain(round(costs, 2))} up to now."


def _ending(story: SignalStory) -> Iterator[str]:
    signal = story.signal
    if signal.decided_at is None:
        return
    parts = [f"{_span(signal.decided_at - signal.received_at)} to decide"]
    if signal.ended_at is not None:
        parts.append(f"{_span(signal.ended_at - signal.decided_at)} from there to its end")
    yield f"It took {' and '.join(parts)}."


def _span(span: timedelta) -> str:
    """A time as a person says it: 9 ms, 1.2 s, 3 min."""
    seconds = span.total_seconds()
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 120 else f"{seconds / 60:.0f} min"
