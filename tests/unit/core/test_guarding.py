"""The stop that waits at the broker: there for whatever is held, and never besides the exit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import RULES, Store, d, logged, portfolio_signal, position_of, report, situation
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Rules
from onefill.core.intent import (
    ACCOMPLISHED,
    Denial,
    IntentState,
    OrderIntent,
    OrderType,
    Side,
    Verb,
)
from onefill.core.orders.protection import PROTECTED
from onefill.core.orders.report import Carried, NotPlaced, OrderReport, OrderStatus
from onefill.core.orders.slicing import sliced
from onefill.core.portfolio.rollover import ROLLOVER
from onefill.core.position import PositionStatus, Rollover
from onefill.core.signal import SignalKind

GOLD = replace(RULES.instruments["GOLD_MINI"], protective_stop=True)
GUARDED: Rules = replace(RULES, instruments={**RULES.instruments, "GOLD_MINI": GOLD})
LOT = 100


def signal_of(kind: SignalKind, **over: object) -> object:
    fields: dict[str, object] = {"instrument": "GOLD_MINI", "price": d(78500), "stop": d(77800)}
    return portfolio_signal(kind, **(fields | {"atr": d(450), "er": d("0.85")} | over))  # type: ignore[arg-type]


class Desk:
    """A lane's store, and a broker that holds its orders and fills what it is told."""

    def __init__(self) -> None:
        self.store = Store(situation("GOLD_MINI"))
        self.orders: dict[str, OrderReport] = {}
        self.sides: dict[str, Side] = {}
        self.signals = 0
        self.send(SignalKind.BASE_ENTRY)

    def send(self, kind: SignalKind, **over: object) -> None:
        """Decide a signal."""
        self.signals += 1
        signal = signal_of(kind, **over)
        decision = decide(logged(signal, self.signals), self.store.seen(), GUARDED)  # type: ignore[arg-type]
        self.store.write(decision, self.signals)

    def go_on(self) -> list[OrderIntent]:
        """The lane is decided; what is issued."""
        decision = go_on(self.store.seen(), GUARDED)
        return [] if decision is None else list(self.store.write(decision).intents)

    def ready(self) -> list[OrderIntent]:
        intents = self.store.intents
        return [
            i
            for i in intents.values()
            if i.state is IntentState.NEW
            and (i.after is None or intents[i.after].state in ACCOMPLISHED)
        ]

    def claim(self, intent: OrderIntent) -> None:
        """It is sent and the broker has it; nobody has heard so yet."""
        self.store.claim(intent)
        name, order = intent.client_order_id, intent.order
        if intent.verb is Verb.PLACE:
            self.sides[name] = order.side
            self._show(
                name,
                OrderStatus.OPEN,
                quantity=order.quantity,
                trigger_price=order.trigger_price,
            )
        elif intent.target is not None and self.is_open(intent.target):
            if intent.verb is Verb.CANCEL:
                self._show(intent.target, OrderStatus.CANCELLED)
            else:
                trigger = order.trigger_price
                status = self.orders[intent.target].status
                self._show(intent.target, status, quantity=order.quantity, trigger_price=trigger)

    def hear(self, intent: OrderIntent) -> None:
        """The answer arrives."""
        if intent.verb is Verb.PLACE:
            seen = self.orders[intent.client_order_id]
            self.store.word(intent, replace(report(intent, OrderStatus.OPEN), report=seen))
        elif intent.target is not None:
            seen = self.orders[intent.target]
            self.store.word(intent, Carried(report=seen))

    def run(self, *intents: OrderIntent) -> None:
        for intent in intents:
            self.claim(intent)
            self.hear(intent)

    def is_open(self, name: str) -> bool:
        return self.orders[name].status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    def fill(self, name: str, quantity: int) -> None:
        """The broker trades so much of it."""
        before = self.orders[name]
        assert before.quantity is not None
        filled = min(before.quantity, before.filled_quantity + quantity)
        whole = filled == before.quantity
        status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        if self.is_open(name):
            self._show(name, status, filled_quantity=filled, filled_value=filled * 78_000)

    @property
    def net(self) -> Decimal:
        """What the broker really holds for us."""
        return sum(
            (
                r.filled_quantity if self.sides[n] is Side.BUY else -r.filled_quantity
                for n, r in self.orders.items()
            ),
            Decimal(0),
        )

    def stop(self) -> OrderIntent:
        """The stop that is live."""
        (stop,) = (i for i in self.store.intents.values() if i.action == "stop" and i.is_live)
        return stop

    def _show(self, name: str, status: OrderStatus, **over: object) -> None:
        blank = OrderReport(broker_order_id=f"b-{name}", status=status)
        self.orders[name] = replace(self.orders.get(name, blank), status=status, **over)  # type: ignore[arg-type]


def opened() -> Desk:
    """Two lots are held, and their stop waits at the broker."""
    desk = Desk()
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, 2 * LOT)
    desk.hear(entry)
    desk.run(*desk.go_on())
    assert desk.go_on() == []
    return desk


@pytest.mark.req("PF-11")
def test_the_first_fill_brings_a_stop_for_what_is_held() -> None:
    desk = Desk()
    assert desk.go_on() == []
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, LOT)
    desk.hear(entry)
    (stop,) = desk.go_on()
    assert (stop.order.order_type, stop.order.side) == (OrderType.STOP_MARKET, Side.SELL)
    assert (stop.order.quantity, stop.order.trigger_price) == (LOT, d(77800))
    desk.run(stop)
    desk.fill(entry.client_order_id, LOT)
    desk.hear(entry)
    (change,) = desk.go_on()
    assert (change.verb, change.order.quantity) == (Verb.MODIFY, 2 * LOT)
    desk.run(change)
    assert desk.go_on() == []
    assert position_of(desk.store).guard_at is None
    desk.store.check()


@pytest.mark.req("PF-11")
def test_the_stop_follows_the_trailing_stop_in_the_bars_own_decision() -> None:
    desk = opened()
    before = set(desk.store.intents)
    desk.send(SignalKind.MARKET_DATA, price=d(80000), atr=d("700.3"))
    (name,) = set(desk.store.intents) - before
    change = desk.store.intents[name]
    assert position_of(desk.store).stop == d("78599.4")
    assert (change.verb, change.order.trigger_price) == (Verb.MODIFY, d(78600))  # on the tick
    desk.run(change)
    assert desk.stop().order.trigger_price == d(78600)
    desk.send(SignalKind.MARKET_DATA, price=d(79000), atr=d("700.3"))
    assert desk.ready() == []  # stops only rise


@pytest.mark.req("PF-11", "PF-12")
def test_an_exit_makes_the_stop_trade_at_once_and_sends_no_order_besides() -> None:
    desk = opened()
    desk.send(SignalKind.EXIT, reason="over")
    (change,) = desk.ready()
    assert (change.verb, change.order.order_type) == (Verb.MODIFY, OrderType.MARKET)
    desk.claim(change)
    desk.fill(desk.stop().client_order_id, 2 * LOT)
    desk.hear(change)
    position = position_of(desk.store)
    assert (position.status, position.reason, desk.net) == (PositionStatus.CLOSED, "over", 0)
    assert desk.go_on() == []
    desk.store.check()


@pytest.mark.req("PF-11", "PF-12")
def test_an_exit_does_not_wait_for_a_stop_that_was_never_sent() -> None:
    desk = Desk()
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, 2 * LOT)
    desk.hear(entry)
    (stop,) = desk.go_on()
    desk.send(SignalKind.EXIT, reason="over")
    assert desk.store.intents[stop.client_order_id].state is IntentState.EXPIRED
    (sale,) = desk.ready()
    assert (sale.action, sale.order.quantity) == ("close", 2 * LOT)


@pytest.mark.req("PF-11")
def test_one_change_of_a_stop_is_on_its_way_at_a_time_and_the_last_one_wins() -> None:
    desk = opened()
    desk.send(SignalKind.MARKET_DATA, price=d(80000), atr=d(700))
    (first,) = desk.ready()
    desk.claim(first)
    desk.send(SignalKind.MARKET_DATA, price=d(81000), atr=d(700))
    assert desk.ready() == []
    desk.hear(first)
    (second,) = desk.go_on()
    assert second.order.trigger_price == position_of(desk.store).stop == d(79600)


@pytest.mark.req("PF-11", "PF-12")
def test_where_the_stop_cannot_be_changed_it_is_cancelled_and_then_the_rest_is_sold() -> None:
    desk = opened()
    desk.send(SignalKind.EXIT, reason="over")
    (change,) = desk.ready()
    desk.store.claim(change)
    desk.store.word(change, NotPlaced(code="400", message="not changeable"))
    desk.store.advance(1)
    (cancel,) = desk.go_on()
    assert cancel.verb is Verb.CANCEL
    desk.fill(desk.stop().client_order_id, LOT)  # it triggers meanwhile, and fills in part
    desk.run(cancel)
    (rest,) = desk.go_on()
    assert (rest.action, rest.order.quantity) == ("close", LOT)
    desk.claim(rest)
    desk.fill(rest.client_order_id, LOT)
    desk.hear(rest)
    assert (position_of(desk.store).status, desk.net) == (PositionStatus.CLOSED, 0)
    desk.store.check()


@pytest.mark.req("PF-11")
def test_a_stop_for_more_than_is_held_is_never_made_to_trade() -> None:
    desk = opened()
    position = position_of(desk.store)
    less = replace(position.legs[0], sold_quantity=d(LOT), sold_value=d(LOT * 78_000))
    desk.store.positions[position.id] = replace(position, legs=(less,))
    desk.send(SignalKind.EXIT, reason="over")
    assert [intent.verb for intent in desk.ready()] == [Verb.CANCEL]


@pytest.mark.req("PF-11")
def test_a_stop_that_filled_closes_the_position_by_its_fills() -> None:
    desk = opened()
    stop = desk.stop()
    desk.fill(stop.client_order_id, LOT)
    desk.hear(stop)
    leaving = position_of(desk.store)
    assert (leaving.status, leaving.reason) == (PositionStatus.CLOSING, PROTECTED)
    desk.fill(stop.client_order_id, LOT)
    desk.hear(stop)
    closed = position_of(desk.store)
    assert (closed.status, closed.reason) == (PositionStatus.CLOSED, PROTECTED)
    desk.store.check()


@pytest.mark.req("PF-11", "ORD-15")
def test_stops_in_slices_cover_what_is_held_and_each_follows() -> None:
    desk = Desk()
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, 2 * LOT)
    desk.hear(entry)
    decision = go_on(desk.store.seen(), GUARDED)
    assert decision is not None
    cut = sliced(decision, desk.store.seen(), lambda _: d(LOT))
    desk.run(*desk.store.write(cut).intents)
    assert desk.go_on() == []
    desk.send(SignalKind.MARKET_DATA, price=d(80000), atr=d(700))
    for _ in range(2):
        desk.run(*desk.ready())
        desk.run(*desk.go_on())
    stops = [i for i in desk.store.intents.values() if i.action == "stop"]
    assert [(s.order.trigger_price, s.order.quantity) for s in stops] == [(d(78600), LOT)] * 2
    desk.send(SignalKind.EXIT, reason="over")
    assert [i.order.order_type for i in desk.ready()] == [OrderType.MARKET] * 2
    assert {i.verb for i in desk.ready()} == {Verb.MODIFY}


@pytest.mark.req("PF-11")
def test_a_stop_that_ended_is_told_of_and_replaced_each_time_after_a_longer_pause() -> None:
    desk = opened()
    stop = desk.stop()
    desk._show(stop.client_order_id, OrderStatus.CANCELLED)  # the day is over
    desk.hear(stop)
    assert "without one" in desk.store.alarms[-1]
    desk.store.advance(1)
    (again,) = desk.go_on()
    assert (again.action, again.n) == ("stop", 2)
    desk.store.claim(again)
    desk.store.word(again, NotPlaced(code="400", message="margin"))
    assert desk.go_on() == []  # not in a tight circle
    desk.store.advance(2)
    (third,) = desk.go_on()
    assert third.n == 3


@pytest.mark.req("PF-11", "ORD-9")
def test_a_stop_that_guards_nothing_is_cancelled_aloud_and_not_placed_again_at_once() -> None:
    desk = opened()
    bare = frozenset({desk.stop().client_order_id})
    decision = go_on(desk.store.seen(bare_stops=bare), GUARDED)
    assert decision is not None
    (cancel,) = desk.store.write(decision).intents
    assert (cancel.verb, cancel.target) == (Verb.CANCEL, desk.stop().client_order_id)
    (alarm,) = decision.alarms
    assert alarm.startswith("CRITICAL")
    assert "its stop there is cancelled" in alarm
    assert go_on(desk.store.seen(bare_stops=bare), GUARDED) is None  # once
    desk.run(cancel)
    assert desk.go_on() == []
    desk.store.advance(60)
    (stop,) = desk.go_on()  # its broker looks what is held before it takes it
    assert stop.n > 1


@pytest.mark.req("PF-11")
def test_a_stop_that_would_have_triggered_at_once_closes_the_position() -> None:
    desk = Desk()
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, 2 * LOT)
    desk.hear(entry)
    (stop,) = desk.go_on()
    desk.store.claim(stop)
    no = NotPlaced(code="-2021", message="would trigger", denial=Denial.WOULD_TRIGGER)
    desk.store.word(stop, no)
    (sale,) = desk.go_on()
    assert (sale.action, sale.order.side, sale.order.quantity) == ("close", Side.SELL, 2 * LOT)


@pytest.mark.req("PF-11")
def test_a_person_hears_within_a_second_of_a_stop_that_nobody_confirms() -> None:
    desk = Desk()
    (entry,) = desk.ready()
    desk.claim(entry)
    desk.fill(entry.client_order_id, 2 * LOT)
    desk.hear(entry)
    (stop,) = desk.go_on()
    desk.claim(stop)
    desk.store.advance(1)
    decision = go_on(desk.store.seen(), GUARDED)
    assert decision is not None
    assert "no confirmed stop" in decision.alarms[0]
    desk.store.write(decision)
    again = go_on(desk.store.seen(), GUARDED)
    assert again is None or again.alarms == ()
    desk.hear(stop)
    assert desk.go_on() == []
    assert position_of(desk.store).guard_at is None


@pytest.mark.req("PF-11")
def test_an_order_that_was_changed_too_often_is_replaced() -> None:
    desk = opened()
    for bar in range(1, 24):
        desk.send(SignalKind.MARKET_DATA, price=d(78500 + 100 * bar), atr=d(100))
        desk.run(*desk.ready())
        desk.run(*desk.go_on())
    stops = [i for i in desk.store.intents.values() if i.action == "stop"]
    assert len(stops) == 2
    assert desk.stop().order.trigger_price == position_of(desk.store).stop
    changes = [i for i in desk.store.intents.values() if i.target == stops[0].client_order_id]
    assert len(changes) <= 21


@pytest.mark.req("PF-11", "PF-24")
def test_a_stop_that_waits_holds_up_neither_a_rollover_nor_an_entry() -> None:
    desk = opened()
    position = position_of(desk.store)
    seen = desk.store.seen()
    assert not seen.is_settling
    rolling = replace(position, rollover=Rollover.PENDING)
    desk.store.positions[position.id] = rolling
    (change,) = desk.go_on()
    assert (change.verb, change.order.order_type) == (Verb.MODIFY, OrderType.MARKET)
    assert position_of(desk.store).reason == ROLLOVER


@pytest.mark.req("PF-11", "PF-12")
@settings(deadline=None, max_examples=100)
@given(st.data())
def test_whatever_fills_and_is_heard_when_stop_and_exit_never_sell_more_than_was_held(
    data: st.DataObject,
) -> None:
    desk = data.draw(st.sampled_from([Desk, opened]))()
    store, exited = desk.store, False
    for _ in range(data.draw(st.integers(5, 50))):
        what = data.draw(
            st.sampled_from(["claim", "hear", "fill", "go on", "bar", "exit", "later", "refuse"])
        )
        if what == "claim" and (ready := desk.ready()):
            desk.claim(data.draw(st.sampled_from(ready)))
        elif what == "hear" and (told := _told(desk)):
            desk.hear(data.draw(st.sampled_from(told)))
        elif what == "refuse" and (changes := _sent_changes(desk)):
            store.word(data.draw(st.sampled_from(changes)), NotPlaced(code="1", message="no"))
        elif what == "fill" and (open_here := [n for n in desk.orders if desk.is_open(n)]):
            desk.fill(data.draw(st.sampled_from(open_here)), LOT)
        elif what == "go on":
            desk.go_on()
        elif what == "bar" and not exited:
            desk.send(SignalKind.MARKET_DATA, price=d(data.draw(st.integers(77000, 82000))))
        elif what == "exit":
            exited = True
            desk.send(SignalKind.EXIT, reason="over", time=store.now)
        elif what == "later":
            store.advance(data.draw(st.sampled_from([0.1, 1.0, 5.0])))
        assert desk.net >= 0
    _leave(desk)
    assert desk.net == 0
    assert all(not position.is_live for position in store.positions.values())
    store.check()


def _told(desk: Desk) -> list[OrderIntent]:
    sent = [i for i in desk.store.intents.values() if i.state is not IntentState.NEW]
    return [i for i in sent if i.client_order_id in desk.orders or _is_carried(desk, i)]


def _is_carried(desk: Desk, intent: OrderIntent) -> bool:
    """Whether the broker has done what the change wants, and we may hear so."""
    if intent.target is None or intent.state in (IntentState.NEW, IntentState.EXPIRED):
        return False
    seen = desk.orders[intent.target]
    wanted = (intent.order.quantity, intent.order.trigger_price)
    is_done = intent.verb is Verb.MODIFY and (seen.quantity, seen.trigger_price) == wanted
    return is_done or not desk.is_open(intent.target)


def _sent_changes(desk: Desk) -> list[OrderIntent]:
    sending = [i for i in desk.store.intents.values() if i.state is IntentState.SENDING]
    return [i for i in sending if i.verb is not Verb.PLACE and not _is_carried(desk, i)]


def _leave(desk: Desk) -> None:
    """An exit, and everything is sent, filled where it trades at market, and heard."""
    desk.send(SignalKind.EXIT, reason="over", time=desk.store.now + timedelta(seconds=1))
    for _ in range(80):
        for intent in desk.ready():
            desk.claim(intent)
        for name, shown in list(desk.orders.items()):
            if desk.is_open(name) and shown.trigger_price is None:
                desk.fill(name, 10 * LOT)
        for intent in _told(desk):
            desk.hear(desk.store.intents[intent.client_order_id])
        desk.store.advance(30)
        desk.go_on()
