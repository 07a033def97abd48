"""Orders follow their price, whatever fills when: never more than was wanted, in the end all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import NOW, RULES, Store, d, logged, portfolio_signal, position_of, report, situation
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.ids import ClientOrderId
from onefill.core.instrument import ChaseLimits, Rules
from onefill.core.intent import (
    ACCOMPLISHED,
    AT_BROKER,
    IntentState,
    OrderIntent,
    OrderType,
    Side,
    Verb,
)
from onefill.core.orders.changes import is_carried_out
from onefill.core.orders.remainders import NOTHING_LEFT
from onefill.core.orders.report import Carried, NotPlaced, OrderReport, OrderStatus
from onefill.core.orders.slicing import sliced
from onefill.core.portfolio.chasing import GIVE_UP, Move, begin, next_move
from onefill.core.position import PositionStatus
from onefill.core.quote import Quote
from onefill.core.signal import SignalKind, SignalStatus

LIMITS = ChaseLimits(step=d("0.5"), cost_max=d(60), steps_max=3)
EVERY_S = float(LIMITS.every_s)
WANTED = 105
INSTRUMENT = replace(RULES.instruments["BANK_NIFTY"], chase=LIMITS)
CHASING: Rules = replace(RULES, instruments={**RULES.instruments, "BANK_NIFTY": INSTRUMENT})


def quote(bid: str | int, ask: str | int) -> Quote:
    return Quote(bid=d(bid), ask=d(ask), last=d(bid), at=NOW)


MARKET = quote(499, 501)


@dataclass
class Exchange:
    """A lane's store, and orders at a broker that fills what and when it is told."""

    store: Store
    orders: dict[ClientOrderId, OrderReport] = field(default_factory=dict)

    @classmethod
    def entering(cls) -> Exchange:
        """The two legs of a base entry are decided, and nothing is sent."""
        store = Store(situation())
        decision = decide(logged(portfolio_signal(SignalKind.BASE_ENTRY)), store.seen(), CHASING)
        store.write(decision, 1)
        return cls(store)

    def placed(self, leg: str) -> list[OrderIntent]:
        mine = (i for i in self.store.intents.values() if i.verb is Verb.PLACE and i.leg == leg)
        return list(mine)

    def ready(self) -> list[OrderIntent]:
        """What may be claimed now."""
        intents = self.store.intents
        return [
            i
            for i in intents.values()
            if i.state is IntentState.NEW
            and (i.after is None or intents[i.after].state in ACCOMPLISHED)
        ]

    def send(self, intent: OrderIntent, market: Quote | None = MARKET) -> None:
        """Claim it with its price; the broker has it, and nobody has heard so yet."""
        name = intent.client_order_id
        if intent.verb is Verb.PLACE:
            priced = begin(intent, market, INSTRUMENT, None)
            assert priced.chase is not None
            chase = replace(priced.chase, since=self.store.now)
            self.store.intents[name] = replace(priced, chase=chase)
        self.store.claim(intent)
        if intent.verb is Verb.PLACE:
            order = self.store.intents[name].order
            self._show(name, OrderStatus.OPEN, price=order.price, quantity=order.quantity)
            if order.order_type is OrderType.MARKET:
                self.fill(name, order.quantity)
        elif intent.target is not None and self.is_open(intent.target):
            over = intent.verb is Verb.CANCEL
            status = OrderStatus.CANCELLED if over else self.orders[intent.target].status
            price = self.orders[intent.target].price if over else intent.order.price
            self._show(intent.target, status, price=price)

    def is_open(self, name: ClientOrderId) -> bool:
        return self.orders[name].status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    def fill(self, name: ClientOrderId, quantity: Decimal | int) -> None:
        """The broker trades so much of it, if it still can."""
        before = self.orders[name]
        assert before.quantity is not None
        filled = min(before.quantity, before.filled_quantity + quantity)
        if self.is_open(name):
            whole = filled == before.quantity
            status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
            self._show(name, status, filled_quantity=filled, filled_value=filled * 500)

    def hear(self, intent: OrderIntent) -> None:
        """The answer to it arrives, as its order stands now."""
        name = intent.client_order_id
        if intent.verb is Verb.PLACE:
            self.store.word(
                intent, replace(report(intent, OrderStatus.OPEN), report=self._of(name))
            )
        elif intent.target is not None and is_carried_out(intent, self._of(intent.target)):
            self.store.word(intent, Carried(report=self._of(intent.target)))

    def step(self, market: Quote | None = MARKET) -> Decision | None:
        """One and a half seconds later, the lane is decided."""
        self.store.advance(EVERY_S)
        quotes = {} if market is None else dict.fromkeys(self.store.intents, market)
        decision = go_on(self.store.seen(quotes=quotes), CHASING)
        return self.store.write(decision) if decision is not None else None

    def bought(self, leg: str) -> Decimal:
        """What the broker really traded of a leg, whatever we know."""
        names = {intent.client_order_id for intent in self.placed(leg)}
        return sum((r.filled_quantity for n, r in self.orders.items() if n in names), Decimal(0))

    def _of(self, name: ClientOrderId) -> OrderReport:
        return self.orders[name]

    def _show(self, name: ClientOrderId, status: OrderStatus, **over: object) -> None:
        blank = OrderReport(broker_order_id=f"b-{name}", status=status)
        self.orders[name] = replace(self.orders.get(name, blank), status=status, **over)  # type: ignore[arg-type]


def resting() -> tuple[Exchange, OrderIntent]:
    """The call rests at the middle of the market."""
    exchange = Exchange.entering()
    (call,) = exchange.ready()
    exchange.send(call)
    exchange.hear(call)
    return exchange, exchange.store.intents[call.client_order_id]


def given_up() -> tuple[Exchange, OrderIntent, OrderIntent, OrderIntent]:
    """The call's chase is over: its cancel and its remainder are decided, neither sent."""
    exchange, call = resting()
    exchange.store.advance(EVERY_S * LIMITS.steps_max)
    decision = exchange.step()
    assert decision is not None
    cancel, rest = decision.intents
    return exchange, call, cancel, rest


@pytest.mark.req("PF-22")
@pytest.mark.parametrize(
    ("side", "market", "price"),
    [
        (Side.BUY, quote(499, 501), "500"),
        (Side.BUY, quote("499.95", "500.00"), "499.95"),  # between two ticks it waits
        (Side.SELL, quote("499.95", "500.00"), "500.00"),
        (Side.BUY, quote("0.05", "0.05"), "0.05"),
    ],
)
def test_a_chase_starts_at_the_middle_on_a_tick(side: Side, market: Quote, price: str) -> None:
    _, call = resting()
    order = replace(call.order, side=side, order_type=OrderType.MARKET, price=None)
    begun = begin(replace(call, order=order, chase=None), market, INSTRUMENT, None)
    assert (begun.order.order_type, begun.order.price) == (OrderType.LIMIT, d(price))


@pytest.mark.req("PF-22")
def test_without_a_quote_an_order_goes_at_market() -> None:
    exchange = Exchange.entering()
    (call,) = exchange.ready()
    exchange.send(call, market=None)
    assert exchange.orders[call.client_order_id].status is OrderStatus.FILLED


@pytest.mark.req("PF-22")
@pytest.mark.parametrize(
    ("limits", "modifications_max", "steps"),
    [
        (replace(LIMITS, cost_max=d(60)), None, 3),  # three steps
        (replace(LIMITS, cost_max=d(30)), None, 2),  # thirty rupees are one point: two steps
        (LIMITS, 1, 1),  # the broker's own limit
        (replace(LIMITS, cost_max=d(0)), None, 0),
    ],
)
def test_the_cap_is_in_steps_in_money_and_in_what_the_broker_allows(
    limits: ChaseLimits, modifications_max: int | None, steps: int
) -> None:
    _, call = resting()
    market = replace(
        call, chase=None, order=replace(call.order, order_type=OrderType.MARKET, price=None)
    )
    begun = begin(market, MARKET, replace(INSTRUMENT, chase=limits), modifications_max)
    assert begun.chase is not None
    assert begun.chase.steps_max == steps


@pytest.mark.req("PF-22")
def test_the_limit_moves_a_step_at_a_time_and_never_beyond_the_other_side() -> None:
    exchange, call = resting()
    decision = exchange.step(quote(499, 510))
    assert decision is not None
    (move,) = decision.intents
    assert (move.verb, move.order.price, move.order.quantity) == (Verb.MODIFY, d("500.5"), WANTED)
    near = next_move(call, quote("500.0", "500.2"), LIMITS, exchange.store.now)
    assert near == Move(price=d("500.2"))
    assert (
        next_move(call, quote(490, 491), LIMITS, exchange.store.now) is None
    )  # it never goes back


@pytest.mark.req("PF-22")
def test_a_step_waits_while_the_one_before_is_on_its_way() -> None:
    exchange, _ = resting()
    first = exchange.step()
    second = exchange.step()
    assert first is not None and second is not None
    assert (len(first.intents), len(second.intents)) == (1, 0)
    exchange.send(*first.intents)
    exchange.hear(*first.intents)
    third = exchange.step()
    assert third is not None
    assert [move.order.price for move in third.intents] == [d(501)]  # the ask, not 501.5


@pytest.mark.req("PF-22")
def test_whoever_comes_late_goes_on_where_the_time_is() -> None:
    exchange, call = resting()
    exchange.store.advance(30)
    assert next_move(call, MARKET, LIMITS, exchange.store.now) is GIVE_UP
    decision = exchange.step()
    assert decision is not None
    assert [intent.verb for intent in decision.intents] == [Verb.CANCEL, Verb.PLACE]


@pytest.mark.req("PF-22")
def test_what_is_left_waits_for_the_cancel_and_is_what_is_confirmed() -> None:
    exchange, call, cancel, rest = given_up()
    assert exchange.ready() == [cancel]
    exchange.fill(call.client_order_id, 30)  # while the cancel is on its way
    exchange.send(cancel)
    assert rest.client_order_id not in [intent.client_order_id for intent in exchange.ready()]
    exchange.hear(cancel)
    (ready,) = exchange.ready()
    assert ready.client_order_id == rest.client_order_id
    assert (ready.order.quantity, ready.order.order_type) == (WANTED - 30, OrderType.MARKET)
    exchange.send(ready)
    exchange.hear(ready)
    assert exchange.bought("ce") == WANTED
    (put,) = exchange.ready()  # the short leg has waited for all of the long one
    assert put.leg == "pe"
    exchange.store.check()


@pytest.mark.req("PF-22", "ORD-15")
def test_slices_of_a_remainder_share_what_is_left() -> None:
    exchange, call = resting()
    store = exchange.store
    store.advance(EVERY_S * LIMITS.steps_max + EVERY_S)
    whole = go_on(store.seen(), CHASING)
    assert whole is not None
    at_most = sliced(whole, store.seen(), lambda _: d(70))
    cancel, first, second = store.write(at_most).intents
    assert (first.order.quantity, second.order.quantity) == (70, 35)
    exchange.fill(call.client_order_id, 60)
    exchange.send(cancel)
    exchange.hear(cancel)
    assert store.intents[first.client_order_id].order.quantity == WANTED - 60
    assert store.intents[second.client_order_id].state is IntentState.EXPIRED
    (ready,) = exchange.ready()
    exchange.send(ready)
    exchange.hear(ready)
    assert exchange.bought("ce") == WANTED
    assert [intent.leg for intent in exchange.ready()] == ["pe"]


@pytest.mark.req("PF-22")
def test_an_order_that_filled_before_its_cancel_leaves_nothing_to_send() -> None:
    exchange, call, cancel, rest = given_up()
    exchange.fill(call.client_order_id, WANTED)
    exchange.send(cancel)
    exchange.hear(cancel)
    ended = exchange.store.intents[rest.client_order_id]
    assert (ended.state, ended.reason) == (IntentState.EXPIRED, NOTHING_LEFT)
    assert [intent.leg for intent in exchange.ready()] == ["pe"]


@pytest.mark.req("PF-22")
def test_an_order_that_its_broker_throws_out_is_not_sent_at_market_instead() -> None:
    exchange, call, cancel, rest = given_up()
    exchange.store.word(call, report(call, OrderStatus.REJECTED, message="margin"))
    assert exchange.store.intents[rest.client_order_id].state is IntentState.EXPIRED
    assert exchange.ready() == [cancel]  # it finds nothing to cancel


@pytest.mark.req("PF-22")
def test_a_fill_heard_after_the_cancel_still_takes_from_what_is_left() -> None:
    exchange, call, cancel, rest = given_up()
    exchange.send(cancel)
    exchange.hear(cancel)
    late = replace(
        exchange.orders[call.client_order_id], filled_quantity=d(60), filled_value=d(30_000)
    )
    exchange.store.word(call, replace(report(call, OrderStatus.OPEN), report=late))
    assert exchange.store.intents[rest.client_order_id].order.quantity == WANTED - 60


@pytest.mark.req("PF-22")
def test_nothing_goes_at_market_where_nobody_says_what_was_filled() -> None:
    exchange, call, cancel, rest = given_up()
    exchange.send(cancel)
    shown = exchange.orders[call.client_order_id]
    exchange.orders[call.client_order_id] = replace(shown, states_fills=False)
    exchange.hear(cancel)
    assert exchange.store.intents[rest.client_order_id].state is IntentState.EXPIRED
    assert any("does not say what is filled" in alarm for alarm in exchange.store.alarms)


@pytest.mark.req("PF-22")
def test_a_cancel_that_is_refused_takes_its_remainder_with_it_and_is_asked_again() -> None:
    exchange, _, cancel, rest = given_up()
    exchange.store.claim(cancel)
    exchange.store.word(cancel, NotPlaced(code="400", message="busy"))
    assert exchange.store.intents[rest.client_order_id].state is IntentState.EXPIRED
    decision = exchange.step()
    assert decision is not None
    assert [intent.verb for intent in decision.intents] == [Verb.CANCEL, Verb.PLACE]


@pytest.mark.req("PF-22", "SIG-13", "SIG-18")
@pytest.mark.parametrize("why", ["late", "paused", "exit"])
def test_what_is_left_of_an_entry_is_not_bought_when_it_is_not_wanted_any_more(why: str) -> None:
    exchange, _ = resting()
    store = exchange.store
    if why == "exit":
        signal = portfolio_signal(SignalKind.EXIT, reason="over")
        store.write(decide(logged(signal, 2), store.seen(), CHASING), 2)
    store.situation = replace(store.situation, paused=why == "paused")
    store.advance(61 if why == "late" else EVERY_S * 3)
    decision = exchange.step()
    issued = decision.intents if decision is not None else ()
    assert [intent.verb for intent in issued] == ([] if why == "exit" else [Verb.CANCEL])
    for cancel in [i for i in store.intents.values() if i.verb is Verb.CANCEL]:
        exchange.send(cancel)
        exchange.hear(cancel)
    assert position_of(store).status is PositionStatus.CLOSED
    assert exchange.bought("ce") == 0


@pytest.mark.req("PF-12", "PF-22")
def test_an_exit_follows_its_price_and_is_not_cancelled_by_itself() -> None:
    exchange = Exchange.entering()
    for _ in range(2):
        (leg,) = exchange.ready()
        exchange.send(leg, market=None)
        exchange.hear(leg)
    store = exchange.store
    signal = portfolio_signal(SignalKind.EXIT, reason="over")
    store.write(decide(logged(signal, 2), store.seen(), CHASING), 2)
    (buy_back,) = exchange.ready()
    exchange.send(buy_back)
    exchange.hear(buy_back)
    for _ in range(14):
        exchange.step()
        for intent in exchange.ready():
            exchange.send(intent)
            exchange.hear(intent)
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.alarms == []  # an exit that is chased has not ended short
    assert {i.n for i in store.intents.values() if i.verb is Verb.CANCEL} == {10_004}
    store.check()


@pytest.mark.req("PF-22")
def test_a_market_order_that_rests_is_cancelled_and_sent_again_until_a_person_must_look() -> None:
    exchange, _, cancel, _ = given_up()
    exchange.send(cancel)
    exchange.hear(cancel)
    rounds = 0
    while True:
        (rest,) = exchange.ready()
        exchange.store.claim(rest)
        sent = exchange.store.intents[rest.client_order_id]
        assert sent.chase is not None
        sent = replace(sent, chase=replace(sent.chase, since=exchange.store.now))
        exchange.store.intents[rest.client_order_id] = sent
        exchange._show(rest.client_order_id, OrderStatus.OPEN, quantity=rest.order.quantity)
        exchange.hear(rest)
        decision = exchange.step()
        assert decision is not None
        if not decision.intents:
            break
        rounds += 1
        exchange.send(decision.intents[0])
        exchange.hear(decision.intents[0])
    assert rounds == 2
    assert "CRITICAL" in decision.alarms[0]
    again = exchange.step()
    assert again is None or again.alarms == ()


@pytest.mark.req("PF-22")
@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_fills_and_is_heard_when_no_more_is_traded_than_was_wanted(
    data: st.DataObject,
) -> None:
    exchange = Exchange.entering()
    store = exchange.store
    for _ in range(data.draw(st.integers(5, 40))):
        what = data.draw(st.sampled_from(["send", "hear", "fill", "step", "late"]))
        known = [i for i in store.intents.values() if i.state is not IntentState.NEW]
        open_here = [name for name in exchange.orders if exchange.is_open(name)]
        if what == "send" and (ready := exchange.ready()):
            exchange.send(data.draw(st.sampled_from(ready)))
        elif what == "hear" and (told := [i for i in known if i.is_live or i.state in AT_BROKER]):
            exchange.hear(data.draw(st.sampled_from(told)))
        elif what == "fill" and open_here:
            exchange.fill(data.draw(st.sampled_from(open_here)), data.draw(st.integers(1, WANTED)))
        elif what == "step":
            exchange.step(data.draw(st.sampled_from([MARKET, None, quote(490, 510)])))
        elif what == "late":
            store.advance(0.1)
        assert exchange.bought("ce") <= WANTED
        assert exchange.bought("pe") <= exchange.bought("ce")
    _finish(exchange)
    assert (exchange.bought("ce"), exchange.bought("pe")) == (WANTED, WANTED)
    assert position_of(store).status is PositionStatus.OPEN
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    assert not store.alarms
    store.check()


def _finish(exchange: Exchange) -> None:
    """Everything is sent and heard, step by step, until nothing is left to do."""
    for _ in range(60):
        for intent in list(exchange.store.intents.values()):
            if intent.is_live and intent.state is not IntentState.NEW:
                exchange.hear(intent)
        for intent in exchange.ready():
            exchange.send(intent)
        exchange.step()
