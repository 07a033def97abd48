"""Signals, situations and books for tests of the pure core, with defaults that may trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from onefill.core.book import Account, Decision, Situation
from onefill.core.decide import decide
from onefill.core.defaults import INSTRUMENTS
from onefill.core.ids import ClientOrderId, PositionId, lane_of
from onefill.core.instrument import Rules
from onefill.core.intent import IntentEvent, IntentState, OrderIntent, step
from onefill.core.invariants import violations
from onefill.core.orders.hearing import Fill, Told
from onefill.core.orders.report import Absent, OrderReport, OrderStatus, Outcome, Placed
from onefill.core.orders.settlement import LaneBooks, Settlement, Unsettled, settle
from onefill.core.position import Position
from onefill.core.signal import Engine, LoggedSignal, Signal, SignalKind, SignalStatus, fingerprint

NOW = datetime(2025, 12, 1, 4, 30, tzinfo=UTC)
ACCOUNT = Account(portfolio="main", initial_capital=Decimal(5_000_000))
RULES = Rules(deployment="tst", instruments=INSTRUMENTS)


def d(value: str | int) -> Decimal:
    return Decimal(value)


def portfolio_signal(kind: SignalKind, position: str | None = "Long_1", **over: Any) -> Signal:
    fields: dict[str, Any] = {
        "engine": Engine.PORTFOLIO,
        "kind": kind,
        "portfolio": "main",
        "instrument": "BANK_NIFTY",
        "time": NOW,
        "position": position,
        "price": d(52000),
        "stop": d(51650),
        "atr": d(200),
        "er": d("0.82"),
        "lots": 3,
    }
    return Signal(**(fields | over))


def direct_signal(kind: SignalKind, **over: Any) -> Signal:
    fields: dict[str, Any] = {
        "engine": Engine.DIRECT,
        "kind": kind,
        "portfolio": "main",
        "instrument": "BTCUSDT",
        "time": NOW,
    }
    return Signal(**(fields | over))


def logged(signal: Signal, number: int = 1) -> LoggedSignal:
    return LoggedSignal(
        id=number, fingerprint=fingerprint(signal), signal=signal, received_at=signal.time
    )


def situation(instrument: str = "BANK_NIFTY", **over: Any) -> Situation:
    fields: dict[str, Any] = {
        "now": NOW,
        "lane": lane_of("main", instrument),
        "account": ACCOUNT,
    }
    return Situation(**(fields | over))


@dataclass
class Store:
    """A lane in memory: writes decisions and settlements as the real store does."""

    situation: Situation
    intents: dict[ClientOrderId, OrderIntent] = field(default_factory=dict)
    positions: dict[PositionId, Position] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    signals: dict[int, tuple[SignalStatus, str | None]] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.situation.now

    def seen(self, **over: Any) -> Situation:
        """What a decision sees now."""
        return replace(
            self.situation,
            positions=tuple(p for p in self.positions.values() if p.is_live),
            intents=tuple(i for i in self.intents.values() if i.is_live),
            **over,
        )

    def advance(self, seconds: float) -> None:
        self.situation = replace(self.situation, now=self.now + timedelta(seconds=seconds))

    def write(self, decision: Decision, signal_id: int | None = None) -> Decision:
        for name in decision.withdraw:
            state, _ = step(self.intents[name].state, IntentEvent.WITHDRAWN)
            self.intents[name] = replace(self.intents[name], state=state, reason="overtaken")
        self.intents |= {intent.client_order_id: intent for intent in decision.intents}
        self.positions |= {position.id: position for position in decision.positions}
        for taken in decision.chased:
            order = self.intents[taken.client_order_id]
            assert order.chase is not None
            after = replace(order, chase=replace(order.chase, step=taken.step))
            self.intents[taken.client_order_id] = after
        if signal_id is not None and not decision.wait:
            self.signals[signal_id] = (decision.status, decision.reason)
        for change in decision.signals:
            self.signals[change.signal_id] = (change.status, change.reason)
        return decision

    def claim(self, *intents: OrderIntent) -> None:
        """Send them: NEW → SENDING."""
        for intent in intents:
            now = self.intents[intent.client_order_id]
            state, _ = step(now.state, IntentEvent.CLAIMED)
            assert state is IntentState.SENDING
            self.intents[now.client_order_id] = replace(
                now, state=state, attempt=now.attempt + 1, send_by=self.now + timedelta(seconds=5)
            )

    def tell(self, *told: Told) -> Settlement:
        books = LaneBooks(
            now=self.now,
            intents=tuple(self.intents.values()),
            positions=tuple(self.positions.values()),
        )
        settled = settle(books, told)
        self.intents |= {intent.client_order_id: intent for intent in settled.intents}
        self.positions |= {position.id: position for position in settled.positions}
        self.fills += settled.fills
        self.alarms += settled.alarms
        for signal_id, status, reason in settled.signals:
            self.signals[signal_id] = (status, reason)
        if settled.block:
            self.situation = replace(self.situation, blocked=settled.block)
        return settled

    def word(self, intent: OrderIntent, word: Outcome) -> Settlement:
        now = self.intents[intent.client_order_id]
        return self.tell(Told(client_order_id=now.client_order_id, attempt=now.attempt, word=word))

    def fill(self, intent: OrderIntent, price: Decimal | int = 100) -> Settlement:
        """The broker fills the whole order at that price."""
        return self.word(intent, filled(intent, intent.order.quantity, price))

    def check(self) -> None:
        broken = violations(
            tuple(self.intents.values()), tuple(self.positions.values()), self.fills
        )
        assert broken == ()


def filled(intent: OrderIntent, quantity: Decimal | int, price: Decimal | int = 100) -> Placed:
    whole = quantity == intent.order.quantity
    return report(
        intent,
        OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
        quantity=quantity,
        price=price,
    )


def report(
    intent: OrderIntent,
    status: OrderStatus,
    *,
    quantity: Decimal | int = 0,
    price: Decimal | int = 100,
    order_id: str | None = None,
    message: str | None = None,
) -> Placed:
    return Placed(
        report=OrderReport(
            broker_order_id=order_id or f"b-{intent.client_order_id}",
            status=status,
            filled_quantity=Decimal(quantity),
            filled_value=Decimal(quantity) * price,
            message=message,
        )
    )


def only(intents: Sequence[OrderIntent]) -> OrderIntent:
    assert len(intents) == 1
    return intents[0]


def buying(quantity: int = 10) -> tuple[Store, OrderIntent]:
    """A store with one direct BUY that is being sent."""
    store = Store(situation("BTCUSDT"))
    signal = direct_signal(SignalKind.BUY, quantity=d(quantity))
    intent = only(store.write(decide(logged(signal), store.seen(), RULES), 1).intents)
    store.claim(intent)
    return store, intent


def entering() -> tuple[Store, OrderIntent, OrderIntent]:
    """A store with the two legs of a synthetic future, the first being sent."""
    store = Store(situation())
    signal = portfolio_signal(SignalKind.BASE_ENTRY)
    call, put = store.write(decide(logged(signal), store.seen(), RULES), 1).intents
    store.claim(call)
    return store, call, put


def state_of(store: Store, intent: OrderIntent) -> IntentState:
    return store.intents[intent.client_order_id].state


def position_of(store: Store) -> Position:
    return next(iter(store.positions.values()))


def told(intent: OrderIntent, word: Outcome | Absent | Unsettled, attempt: int = 1) -> Told:
    return Told(client_order_id=intent.client_order_id, attempt=attempt, word=word)
