"""What one word of a broker means for one intent. Evidence is never lost. Source: ORD-4, ORD-10."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from onefill.core.ids import ClientOrderId
from onefill.core.intent import AT_BROKER, IntentEvent, IntentState, OrderIntent, step
from onefill.core.money import plain
from onefill.core.orders.report import (
    Absent,
    Carried,
    NotPlaced,
    NotSent,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)

CONTRADICTION = "contradiction"
TWO_ORDERS = "two_orders"
OVERFILLED = "overfilled"
"""Why a lane blocks after what was heard."""

_UNDECIDED = frozenset({IntentState.SENDING, IntentState.IN_DOUBT, IntentState.QUARANTINED})
_WORKING = frozenset({OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})
_ENDED_SHORT = frozenset({IntentEvent.CANCELLED, IntentEvent.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """Looking further proves nothing: the order goes to a person (class C)."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A person's verdict on a quarantined order: the broker never had it. note: their reason."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One word about one attempt of one intent."""

    client_order_id: ClientOrderId
    attempt: int
    word: Outcome | Absent | Unsettled | Ruled


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What a report added to an intent; cumulative_quantity makes it unique per intent.

    value: Σ quantity·price of what was added. trade_ids: all that the report named.
    """

    client_order_id: ClientOrderId
    cumulative_quantity: Decimal
    quantity: Decimal
    value: Decimal
    trade_ids: tuple[str, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether nothing of its order was filled before."""
        return self.cumulative_quantity == self.quantity

    @property
    def price(self) -> Decimal:
        """The average price of what was added."""
        return self.value / self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The intent afterwards, what it filled, whom to tell, and why its lane blocks."""

    intent: OrderIntent
    fill: Fill | None = None
    alarms: tuple[str, ...] = ()
    block: str | None = None


def hear(intent: OrderIntent, told: Told) -> Heard:
    """The intent after one word about one of its attempts.

    What the venue says of an order counts whichever attempt made it. A word that only denies
    (not placed, not sent, absent, lost) counts for the current attempt alone, and only while
    nothing is known of it.
    """
    match told.word:
        case Placed(report=report):
            return _hear_report(intent, report)
        case NotPlaced(retry=retry, reason=reason):
            event = IntentEvent.REFUSED_RETRY if retry else IntentEvent.REFUSED
            return _hear_denial(intent, told, event, reason)
        case NotSent(detail=detail):
            return _hear_denial(intent, told, IntentEvent.NOT_SENT, detail)
        case Unknown(detail=detail):
            return _hear_denial(intent, told, IntentEvent.LOST, detail)
        case Absent(conclusive=True, detail=detail):
            return _hear_denial(intent, told, IntentEvent.ABSENT, detail)
        case Unsettled(detail=detail):
            return _hear_denial(intent, told, IntentEvent.UNSETTLED, detail)
        case Carried(report=report):
            state, _ = step(intent.state, IntentEvent.CARRIED_OUT)
            return Heard(intent=replace(intent, state=state, reason=report.message))
        case Ruled(note=note) if intent.state is IntentState.QUARANTINED:
            return _hear_denial(intent, told, IntentEvent.ABSENT, f"a person's word: {note}")
    return Heard(intent=intent)  # absent, but not conclusively; or ruled on, and settled meanwhile


def adds_to(intent: OrderIntent, report: OrderReport) -> bool:
    """Whether our book does not know yet what the report says."""
    word = Placed(report=report)
    heard = hear(
        intent, Told(client_order_id=intent.client_order_id, attempt=intent.attempt, word=word)
    )
    return heard.intent != intent or bool(heard.alarms)


def resized(intent: OrderIntent, quantity: Decimal, report: OrderReport) -> OrderIntent:
    """An order after a change of its quantity and prices that took effect, as the report says.

    A poll may have seen its fills before we learned of the change, and judged them by the old
    quantity: so where it stands is judged anew.
    """
    order = replace(intent.order, quantity=quantity, price=report.price)
    if order.order_type.is_conditional and report.trigger_price is not None:
        order = replace(order, trigger_price=report.trigger_price)
    after = replace(intent, order=order)
    if intent.state is IntentState.FILLED and intent.filled_quantity < quantity:
        return replace(after, state=IntentState.PARTIALLY_FILLED)
    if intent.state in AT_BROKER and intent.filled_quantity >= quantity:
        return replace(after, state=IntentState.FILLED)
    return after


def _hear_denial(intent: OrderIntent, told: Told, event: IntentEvent, reason: str) -> Heard:
    if told.attempt != intent.attempt or intent.state not in _UNDECIDED:
        return Heard(intent=intent)
    state, _ = step(intent.state, event)
    if state is intent.state:
        return Heard(intent=intent)
    after = replace(intent, state=state, reason=reason)
    if state is IntentState.QUARANTINED:
        return Heard(
            intent=after, alarms=(_alarm(intent, f"only a person can settle it: {reason}"),)
        )
    return Heard(intent=after)


def _hear_report(intent: OrderIntent, report: OrderReport) -> Heard:
    if intent.broker_order_id and report.broker_order_id not in ("", intent.broker_order_id):
        return _hear_second_order(intent, report)
    if _is_older_than_rejection(intent, report):
        return Heard(intent=intent)
    return _take_report(intent, report)


def _take_report(intent: OrderIntent, report: OrderReport) -> Heard:
    """Believe the report: the state that it shows, and whatever it has filled beyond our book."""
    state, contradicts = _walk(intent.state, _events(intent, report))
    fill = _fill(intent, report)
    after = replace(
        intent,
        state=state,
        broker_order_id=report.broker_order_id or intent.broker_order_id,
        reason=intent.reason if state is intent.state else report.message,
    )
    if fill is not None:
        after = replace(
            after,
            filled_quantity=fill.cumulative_quantity,
            filled_value=intent.filled_value + fill.value,
        )
    alarms: list[str] = []
    block: str | None = None
    if contradicts:
        block = CONTRADICTION
        alarms.append(_alarm(intent, f"the broker has it after {intent.state}: {report.status}"))
    if fill is not None and after.filled_quantity > intent.order.quantity:
        block = OVERFILLED
        alarms.append(_alarm(intent, f"filled {plain(after.filled_quantity)}, more than asked"))
    if fill is not None and fill.value <= 0:
        alarms.append(_alarm(intent, "filled without a price: its profit is wrong"))
    return Heard(intent=after, fill=fill, alarms=tuple(alarms), block=block)


def _hear_second_order(intent: OrderIntent, report: OrderReport) -> Heard:
    """Another order at the broker for the same intent: alarming if it works or has executed.

    Where the first one has filled nothing the one that has is booked; where both have, a person
    must settle the second one: our book can hold only one order for an intent.
    """
    executed = report.filled_quantity > 0
    if not executed and report.status not in _WORKING:
        return Heard(intent=intent)
    alarm = _alarm(
        intent,
        f"two orders at the broker, {intent.broker_order_id} and {report.broker_order_id} "
        f"(the second one has filled {plain(report.filled_quantity)})",
    )
    if not executed or intent.filled_quantity > 0:
        return Heard(intent=intent, alarms=(alarm,), block=TWO_ORDERS)
    heard = _take_report(intent, report)
    return replace(heard, alarms=(alarm, *heard.alarms), block=TWO_ORDERS)


def _events(intent: OrderIntent, report: OrderReport) -> tuple[IntentEvent, ...]:
    """What the report says, with quantity before words.

    `filled` without the whole quantity is not the end: somebody must still learn the price.
    """
    filled = max(intent.filled_quantity, report.filled_quantity)
    if filled >= intent.order.quantity:
        return (IntentEvent.WHOLLY_FILLED,)
    if report.event in _ENDED_SHORT:
        grown = report.filled_quantity > intent.filled_quantity
        return (IntentEvent.PARTLY_FILLED, report.event) if grown else (report.event,)
    return (IntentEvent.PARTLY_FILLED if filled > 0 else IntentEvent.ACCEPTED,)


def _walk(state: IntentState, events: Iterable[IntentEvent]) -> tuple[IntentState, bool]:
    contradicted = False
    for event in events:
        state, contradicts = step(state, event)
        contradicted |= contradicts
    return state, contradicted


def _fill(intent: OrderIntent, report: OrderReport) -> Fill | None:
    """What the report adds to our book; cumulative, so repeats and gaps come out right."""
    if report.filled_quantity <= intent.filled_quantity:
        return None
    return Fill(
        client_order_id=intent.client_order_id,
        cumulative_quantity=report.filled_quantity,
        quantity=report.filled_quantity - intent.filled_quantity,
        value=report.filled_value - intent.filled_value,
        trade_ids=tuple(trade.trade_id for trade in report.trades),
    )


def _is_older_than_rejection(intent: OrderIntent, report: OrderReport) -> bool:
    """An asynchronous broker accepts, then refuses; the acceptance may be heard last."""
    same = intent.broker_order_id is not None and report.filled_quantity == 0
    return same and intent.state is IntentState.REJECTED


def _alarm(intent: OrderIntent, what: str) -> str:
    return f"{intent.lane}: order {intent.client_order_id}: {what}"
