"""The order intent: one broker action, durable before anything is sent, and its state machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from onefill.core.errors import invariant
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.money import ZERO

SLICE_STRIDE = 1_000_000
"""What n goes up by from one slice of an order to the next; no action is repeated so often."""


class Side(enum.StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(enum.StrEnum):
    """How an order finds its price; conditional ones wait for their trigger price first."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"  # at market once the price is as bad as the trigger price
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"  # at market once it is as good

    @property
    def is_conditional(self) -> bool:
        """Whether the order waits at the broker for its trigger price."""
        return self in (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)


class Denial(enum.StrEnum):
    """Definite refusals after which whoever asked decides anew; how the `reason` begins."""

    WOULD_TRIGGER = "would_trigger"  # the price is past the trigger already: trade at market
    STOP_EXISTS = "stop_exists"  # this side is closed by another stop already
    NOTHING_TO_REDUCE = "nothing_to_reduce"  # the position is not what was thought: read it again


class Verb(enum.StrEnum):
    """What an intent does at the broker."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"


class IntentState(enum.StrEnum):
    """Where an intent stands; see TRANSITIONS for the ways between."""

    NEW = "NEW"
    SENDING = "SENDING"
    ACKED = "ACKED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    IN_DOUBT = "IN_DOUBT"
    NOT_PLACED = "NOT_PLACED"
    QUARANTINED = "QUARANTINED"
    DONE = "DONE"  # a cancel or a change took effect, or there was nothing left for it to do


class IntentEvent(enum.StrEnum):
    """What can happen to an intent."""

    CLAIMED = "claimed"
    WITHDRAWN = "withdrawn"  # too old, overtaken, or what it waited for failed; never sent
    NOT_SENT = "not_sent"  # the sender found its deadline past, and wrote nothing to the socket
    ACCEPTED = "accepted"
    PARTLY_FILLED = "partly_filled"
    WHOLLY_FILLED = "wholly_filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"  # the broker's definite no
    REFUSED_RETRY = "refused_retry"  # a definite no to this attempt only: a new one may be made
    LOST = "lost"  # the outcome is unknown
    ABSENT = "absent"  # a conclusive look-up: the broker never had it, and never will
    UNSETTLED = "unsettled"  # the look-ups are used up and prove nothing
    CARRIED_OUT = "carried_out"  # of a cancel or a change


S, E = IntentState, IntentEvent

_PLACED: dict[IntentEvent, IntentState] = {
    E.ACCEPTED: S.ACKED,
    E.PARTLY_FILLED: S.PARTIALLY_FILLED,
    E.WHOLLY_FILLED: S.FILLED,
    E.CANCELLED: S.CANCELLED,
    E.REFUSED: S.REJECTED,
}
"""The venue's word. It is taken from wherever an intent stands that is not further already."""

TRANSITIONS: dict[tuple[IntentState, IntentEvent], IntentState] = {
    (S.NEW, E.CLAIMED): S.SENDING,
    (S.NEW, E.WITHDRAWN): S.EXPIRED,
    **{(S.SENDING, event): state for event, state in _PLACED.items()},
    (S.SENDING, E.NOT_SENT): S.NEW,
    (S.SENDING, E.REFUSED_RETRY): S.NEW,
    (S.SENDING, E.LOST): S.IN_DOUBT,
    (S.SENDING, E.ABSENT): S.NEW,
    (S.SENDING, E.UNSETTLED): S.QUARANTINED,
    **{(S.IN_DOUBT, event): state for event, state in _PLACED.items()},
    (S.IN_DOUBT, E.LOST): S.IN_DOUBT,
    (S.IN_DOUBT, E.CLAIMED): S.SENDING,  # class A only: the same id is sent again
    (S.SENDING, E.CLAIMED): S.SENDING,  # the same, where the sender died with the outcome
    (S.IN_DOUBT, E.ABSENT): S.NEW,
    (S.IN_DOUBT, E.UNSETTLED): S.QUARANTINED,
    (S.IN_DOUBT, E.NOT_SENT): S.NEW,  # the sender itself says so, only late
    (S.IN_DOUBT, E.REFUSED_RETRY): S.NEW,  # the definite no came after the deadline
    **{(S.QUARANTINED, event): state for event, state in _PLACED.items()},
    (S.QUARANTINED, E.ABSENT): S.NOT_PLACED,  # a person's verdict, final
    (S.QUARANTINED, E.LOST): S.QUARANTINED,
    # Cancels and changes carry absolute values: whichever attempt did it, it is done.
    **{(state, E.CARRIED_OUT): S.DONE for state in (S.NEW, S.SENDING, S.IN_DOUBT)},
    (S.ACKED, E.PARTLY_FILLED): S.PARTIALLY_FILLED,
    (S.ACKED, E.WHOLLY_FILLED): S.FILLED,
    (S.ACKED, E.CANCELLED): S.CANCELLED,
    (S.ACKED, E.REFUSED): S.REJECTED,  # asynchronous brokers accept first and refuse later
    (S.PARTIALLY_FILLED, E.WHOLLY_FILLED): S.FILLED,
    (S.PARTIALLY_FILLED, E.CANCELLED): S.CANCELLED,
    (S.PARTIALLY_FILLED, E.REFUSED): S.CANCELLED,  # some brokers call a killed remainder rejected
    (S.PARTIALLY_FILLED, E.PARTLY_FILLED): S.PARTIALLY_FILLED,
    (S.CANCELLED, E.WHOLLY_FILLED): S.FILLED,  # a fill can overtake our cancel
    (S.CANCELLED, E.PARTLY_FILLED): S.CANCELLED,  # quantity still counts; the rest stays cancelled
}

CONTRADICTIONS: dict[tuple[IntentState, IntentEvent], IntentState] = {
    **{
        (state, event): _PLACED[event]
        for state in (S.NEW, S.NOT_PLACED, S.EXPIRED, S.REJECTED)
        for event in (E.ACCEPTED, E.PARTLY_FILLED, E.WHOLLY_FILLED)
    },
    (S.NEW, E.CANCELLED): S.CANCELLED,  # it was there after all, so it is not sent again
}
"""The venue executed what was thought not to be there: believed, alarmed, and the lane blocks."""

FINAL = frozenset({S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.NOT_PLACED, S.DONE})
ACCOMPLISHED = frozenset({S.FILLED, S.DONE})
"""What others that wait for it may follow."""
DEAD = frozenset({S.CANCELLED, S.REJECTED, S.EXPIRED, S.NOT_PLACED})
"""Final without having done all that was asked."""
UNRESOLVED = frozenset({S.IN_DOUBT, S.QUARANTINED})
"""In doubt; a SENDING past its `send_by` counts as well (ask `is_unresolved`)."""
AT_BROKER = frozenset({S.ACKED, S.PARTIALLY_FILLED})


def step(state: IntentState, event: IntentEvent) -> tuple[IntentState, bool]:
    """The next state, and whether the event contradicts what was believed before.

    An event that is older than the state (an ACK after the fill) changes nothing.
    """
    if (after := TRANSITIONS.get((state, event))) is not None:
        return after, False
    if (after := CONTRADICTIONS.get((state, event))) is not None:
        return after, True
    return state, False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What is asked of a broker: quantities in the broker's own unit, prices in points.

    broker names the adapter (`binance`, `openalgo`), account the login there; exchange is the
    market's code where the broker wants one (NFO, MCX), else empty. trigger_price: of conditional
    orders, and only of these.
    """

    broker: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    exchange: str = ""
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool = False

    def __post_init__(self) -> None:
        is_triggered = self.trigger_price is not None
        promise = "conditional orders have a trigger price, and no others"
        invariant(is_triggered == self.order_type.is_conditional, promise, type=self.order_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chase:
    """How far an order has come that follows its price (PF-22).

    first_price: its limit when it was sent; None: it was sent at market, and is chased only if it
    rests there. since: when it was claimed. step: the latest one taken, by the time that passed;
    steps_max: how often its price may move. round: how many orders it is the remainder of.
    """

    first_price: Decimal | None = None
    since: datetime | None = None
    step: int = 0
    steps_max: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """One broker action as the store holds it.

    source: what caused it (a signal's fingerprint in hex, or a position's id); with leg, action
    and n it is unique and makes the client order id. n: the how manieth time, and above
    SLICE_STRIDE which slice of it. adds_exposure: whether it may enlarge a
    position (then it expires at `valid_until`, and waits while its lane has an order in doubt).
    after: the intent that must be FILLED (or DONE) before this one may be claimed; it is withdrawn
    when that one ends dead. target, target_order_id: of a cancel or a change, the order that it
    is about, by our id and the broker's; `order` then says what the target shall be.
    send_by: past it the current attempt was sent or never will be.
    expires_at: when the venue stops accepting the current attempt (None: never).
    witnessed: ids of like orders that the broker's book showed before the current attempt.
    filled_value: Σ quantity·price of what is filled, in the broker's unit.
    chase: of orders that follow their price; set when they are claimed. decided_price: what its
    contract traded at when this was decided, as far as that is known: what it fills at beyond that
    is slippage (PF-13).
    """

    client_order_id: ClientOrderId
    lane: Lane
    portfolio: str
    instrument: str
    source: str
    leg: str
    action: str
    n: int
    order: OrderRequest
    adds_exposure: bool
    signal_id: int | None = None
    position_id: PositionId | None = None
    verb: Verb = Verb.PLACE
    target: ClientOrderId | None = None
    target_order_id: str | None = None
    after: ClientOrderId | None = None
    valid_until: datetime | None = None
    state: IntentState = IntentState.NEW
    attempt: int = 0
    signed_at: datetime | None = None
    expires_at: datetime | None = None
    send_by: datetime | None = None
    witnessed: tuple[str, ...] = ()
    broker_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    reason: str | None = None
    chase: Chase | None = None
    decided_price: Decimal | None = None

    @property
    def slice(self) -> int:
        """Which part of an order that is too large for its exchange; 0 is the first, or all."""
        return (self.n - 1) // SLICE_STRIDE

    @property
    def is_live(self) -> bool:
        """Whether it may still fill (more)."""
        return self.state not in FINAL

    @property
    def remaining(self) -> Decimal:
        """What it may still fill, at the most."""
        trades = self.is_live and self.verb is Verb.PLACE
        return self.order.quantity - self.filled_quantity if trades else ZERO

    @property
    def rests(self) -> bool:
        """Whether it may stay at the broker for long: accepted, and not at market."""
        return self.state in AT_BROKER and self.order.order_type is not OrderType.MARKET

    @property
    def denial(self) -> Denial | None:
        """Why the broker refused it, where that asks for a new decision."""
        word = (self.reason or "").partition(":")[0]
        is_known = self.state is IntentState.REJECTED and word in list(Denial)
        return Denial(word) if is_known else None

    def is_unresolved(self, now: datetime) -> bool:
        """Whether nobody knows what became of it: IN_DOUBT, QUARANTINED, or SENDING too long."""
        if self.state is IntentState.SENDING:
            return self.send_by is not None and now > self.send_by
        return self.state in UNRESOLVED
