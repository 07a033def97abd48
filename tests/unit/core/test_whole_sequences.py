"""Any sequence of signals, fills, refusals, doubts and days, judged by the broker's own sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import ACCOUNT, RULES, Store, d, filled, logged, portfolio_signal, report, situation
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Rules, Tariff
from onefill.core.intent import ACCOMPLISHED, AT_BROKER, IntentState, OrderIntent, Side, Verb
from onefill.core.orders.report import Absent, Carried, NotPlaced, OrderReport, OrderStatus, Unknown
from onefill.core.portfolio.rollover import must_roll_at
from onefill.core.position import CALL, PUT, PositionStatus, Rollover
from onefill.core.signal import END_STATUSES, LoggedSignal, SignalKind

DEAR = Tariff(per_order=d(20), buy_percent=d("0.03"), sell_percent=d("0.13"))
NO = NotPlaced(code="no", message="no")
STEPS = ["base", "pyramid", "bar", "bar", "exit", "all", "wait", "age", "days", "roll", "settle"]


class Sequence:
    """One lane, and a broker that does with its orders what is drawn; calm: what it is asked to."""

    def __init__(self, name: str, rules: Rules, price: int, data: st.DataObject) -> None:
        self.name, self.rules, self.price, self.data = name, rules, d(price), data
        self.store = Store(situation(name))
        self.broker: Counter[str] = Counter()
        self.equity, self.earned = ACCOUNT.closed_equity, dict[str, Decimal]()
        self.waiting: list[LoggedSignal] = []
        self.stops: dict[str, Decimal] = {}
        self.signals = 0
        self.calm = False

    def pick(self, *choices: str) -> str:
        return choices[0] if self.calm else self.data.draw(st.sampled_from(choices))

    def signal(self, kind: SignalKind, slot: str | None, atr: int = 200) -> None:
        self.signals += 1
        fields = {"instrument": self.name, "time": self.store.now, "price": self.price}
        fields |= {"stop": self.price * d("0.99"), "atr": d(atr), "er": d("0.9"), "reason": "over"}
        signal = portfolio_signal(kind, slot, **fields, order_id=str(self.signals))
        self.waiting.append(logged(signal, self.signals))
        self.decide()

    def decide(self) -> None:
        todo, self.waiting = self.waiting, []
        for each in todo:
            decision = decide(each, self.store.seen(), self.rules)
            self.write(decision, each)

    def write(self, decision: Decision, each: LoggedSignal | None = None) -> None:
        seen, signal = self.store.seen(), None if each is None else each.signal
        self.store.write(decision, None if each is None else each.id)
        if each is not None and decision.wait:
            self.waiting.append(each)
        self._mark(seen.after(decision, signal) if signal is not None else None)
        self.book()

    def _mark(self, after: object) -> None:
        if after is not None:
            here = self.store.situation
            marks, last = after.marks, after.last_decided  # type: ignore[attr-defined]
            self.store.situation = replace(here, marks=marks, last_decided=last)

    def book(self) -> None:
        """Equity grows by differences, as the real one does."""
        for position in self.store.positions.values():
            self.equity += position.realised - self.earned.get(position.id, d(0))
            self.earned[position.id] = position.realised
        account = replace(ACCOUNT, realised=self.equity - ACCOUNT.closed_equity)
        self.store.situation = replace(self.store.situation, account=account)

    def go_on(self) -> None:
        for _ in range(6):
            if (decision := go_on(self.store.seen(), self.rules)) is None:
                break
            self.write(decision)

    def send(self) -> None:
        for intent in list(self.store.intents.values()):
            present = self.store.intents[intent.client_order_id]
            before = self.store.intents.get(present.after) if present.after else None
            if present.state is not IntentState.NEW or (
                before and before.state not in ACCOMPLISHED
            ):
                continue
            if present.valid_until is not None and self.store.now > present.valid_until:
                ended = replace(present, state=IntentState.EXPIRED, reason="too_old")
                self.store.intents[present.client_order_id] = ended
                self.store.tell()
                continue
            self.store.claim(present)
            self.answer(self.store.intents[present.client_order_id])
            self.book()

    def answer(self, intent: OrderIntent) -> None:
        if intent.verb is not Verb.PLACE:
            return self.change(intent, self.pick("carry", "refuse") == "carry")
        waits = intent.order.order_type.is_conditional
        first = ("open",) if waits else ("fill", "fill", "part", "cut", "open")
        match self.pick(*first, "refuse", "lost"):
            case "fill":
                self.fill(intent, intent.order.quantity)
            case "part":
                self.fill(intent, self.some(intent))
            case "cut":
                self.fill(intent, self.some(intent) - 1, OrderStatus.CANCELLED)
            case "open":
                self.store.word(intent, report(intent, OrderStatus.OPEN))
            case "refuse":
                self.store.word(intent, NO)
            case _:
                self.store.word(intent, Unknown(detail="?"))
        return None

    def some(self, intent: OrderIntent) -> Decimal:
        return d(self.data.draw(st.integers(1, int(intent.order.quantity))))

    def fill(
        self, intent: OrderIntent, quantity: Decimal, status: OrderStatus | None = None
    ) -> None:
        """So much is filled by now, each part at the price of its time."""
        more = quantity - intent.filled_quantity
        sign = 1 if intent.order.side is Side.BUY else -1
        self.broker[intent.order.symbol] += int(more) * sign
        said = filled(intent, quantity).report
        value = intent.filled_value + more * self.price_of(intent)
        said = replace(said, filled_value=value, status=status or said.status)
        self.store.word(intent, replace(filled(intent, quantity), report=said))

    def price_of(self, intent: OrderIntent) -> Decimal:
        assert intent.position_id is not None
        strike = self.store.positions[intent.position_id].strike
        if strike is None:
            return self.price
        put = max(d(0), strike - self.price) + 100
        return put if intent.leg == PUT else put + self.price - strike

    def change(self, intent: OrderIntent, carried: bool) -> None:
        assert intent.target is not None
        if not carried:
            self.store.word(intent, NO)
            return
        target, asked = self.store.intents[intent.target], intent.order
        status = OrderStatus.FILLED if target.state is IntentState.FILLED else OrderStatus.CANCELLED
        said = OrderReport(
            broker_order_id=target.broker_order_id or "",
            status=status,
            filled_quantity=target.filled_quantity,
            filled_value=target.filled_value,
        )
        if target.is_live and intent.verb is Verb.MODIFY:
            said = replace(said, status=OrderStatus.OPEN, quantity=asked.quantity)
            said = replace(said, trigger_price=asked.trigger_price)
        self.store.word(intent, Carried(report=said))
        if target.is_live and intent.verb is Verb.MODIFY and not asked.order_type.is_conditional:
            self.fill(self.store.intents[intent.target], asked.quantity)

    def settle(self) -> None:
        """What is at the broker moves on, and what is in doubt is looked up."""
        for intent in list(self.store.intents.values()):
            waits = intent.order.order_type.is_conditional
            if intent.verb is not Verb.PLACE or (waits and intent.rests and self.calm):
                continue
            if intent.state in AT_BROKER and self.pick("fill", "wait") == "fill":
                self.fill(intent, intent.order.quantity)
            elif intent.state is IntentState.IN_DOUBT and self.pick("look", "wait") == "look":
                if self.data.draw(st.booleans()):
                    self.store.word(intent, Absent(conclusive=True, detail="no"))
                else:
                    self.store.word(intent, report(intent, OrderStatus.OPEN))
            self.book()

    def roll(self) -> None:
        for position in list(self.store.positions.values()):
            idle = position.rollover in (Rollover.NONE, Rollover.ROLLED)
            if idle and must_roll_at(position, self.store.now, self.rules):
                marked = replace(position, rollover=Rollover.PENDING)
                self.store.positions[position.id] = marked

    def step(self, name: str) -> None:
        move = self.price * self.data.draw(st.integers(-3, 9)) / 800
        match name:
            case "base":
                self.signal(SignalKind.BASE_ENTRY, "Long_1")
            case "pyramid":
                self.price = round(self.price + abs(move), 1)
                self.signal(SignalKind.PYRAMID, f"Long_{self.data.draw(st.integers(2, 4))}")
            case "bar":
                self.price = round(self.price + move, 1)
                atr = self.data.draw(st.sampled_from([0, 150, 900]))
                self.signal(SignalKind.MARKET_DATA, None, atr)
            case "exit":
                self.signal(SignalKind.EXIT, f"Long_{self.data.draw(st.integers(1, 4))}")
            case "all":
                self.signal(SignalKind.EXIT, "ALL")
            case "roll":
                self.roll()
            case "settle":
                self.settle()
            case _:
                self.store.advance({"wait": 2, "age": 70, "days": 9 * 86_400}[name])
        self.store.advance(0.2)
        self.pass_on()

    def pass_on(self) -> None:
        self.go_on()
        self.check()
        self.send()
        self.check()
        self.decide()
        self.go_on()
        self.check()

    def come_to_rest(self) -> None:
        self.calm = True
        for _ in range(25):
            self.store.advance(61)
            self.pass_on()
            self.settle()

    def on_sale(self, position_id: str, leg: str) -> Decimal:
        """What would be sold of a long leg if all that is sent, or may be now, filled."""
        done = {i.client_order_id for i in self.store.intents.values() if i.state in ACCOMPLISHED}
        mine = (
            i for i in self.store.intents.values() if (i.position_id, i.leg) == (position_id, leg)
        )
        sells = (
            i for i in mine if i.order.side is Side.SELL and i.verb is Verb.PLACE and i.is_live
        )
        may_go = (i for i in sells if i.state is not IntentState.NEW or i.after in {None, *done})
        return sum((intent.remaining for intent in may_go), d(0))

    def check(self) -> None:
        """Each leg is what the broker holds, none is turned, no short is bare, no stop falls."""
        self.store.check()
        held: Counter[str] = Counter()
        for position in self.store.positions.values():
            for leg in position.legs:
                held[leg.symbol] += int(leg.net)
                assert leg.net * (1 if leg.side is Side.BUY else -1) >= 0
                assert leg.side is Side.SELL or self.on_sale(position.id, leg.name) <= leg.net
            if len(position.legs) > 1:
                assert position.leg(CALL).net + position.leg(PUT).net >= 0
            if position.stop is not None and position.rolled_from is None:
                assert position.stop >= self.stops.get(position.id, position.stop)
                self.stops[position.id] = position.stop
        assert {s: n for s, n in held.items() if n} == {s: n for s, n in self.broker.items() if n}


@pytest.mark.req("PF-7", "PF-10", "PF-11", "PF-12", "PF-13", "PF-21", "PF-24", "ORD-8")
@pytest.mark.parametrize("peels", [False, True])
@pytest.mark.parametrize(
    ("name", "price", "guarded"),
    [("BANK_NIFTY", 52_000, False), ("GOLD_MINI", 78_500, False), ("GOLD_MINI", 78_500, True)],
)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_happens_it_comes_to_rest_whole_and_its_profit_is_its_fills(
    data: st.DataObject, name: str, price: int, *, guarded: bool, peels: bool
) -> None:
    one = replace(RULES.instruments[name], costs=DEAR, protective_stop=guarded)
    rules = replace(RULES, instruments={name: one}, peel_off=peels)
    here = Sequence(name, rules, price, data)
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=3, max_size=16)):
        here.step(step)
    here.come_to_rest()
    positions = here.store.positions
    assert {p.status for p in positions.values()} <= {PositionStatus.OPEN, PositionStatus.CLOSED}
    for position in positions.values():
        if position.status is PositionStatus.OPEN:
            whole = position.lots * position.units_per_lot
            assert {abs(leg.net) for leg in position.legs} == {whole}
    assert {status for status, _ in here.store.signals.values()} <= END_STATUSES
    assert here.waiting == []
    here.signal(SignalKind.EXIT, "ALL")
    here.come_to_rest()
    assert all(position.is_flat and not position.is_live for position in positions.values())
    legs = [leg for position in positions.values() for leg in position.legs]
    sums = ((leg.sold_value - leg.bought_value) * leg.multiplier - leg.costs for leg in legs)
    assert here.equity == ACCOUNT.closed_equity + sum(sums)
