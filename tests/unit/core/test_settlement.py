from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import (
    RULES,
    Store,
    d,
    direct_signal,
    filled,
    logged,
    only,
    portfolio_signal,
    report,
    situation,
)
from onefill.core.decide import decide
from onefill.core.errors import Bug
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.position import Position, PositionStatus
from onefill.core.report import (
    Absent,
    NotPlaced,
    NotSent,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.settlement import Told, Unsettled
from onefill.core.signal import SignalKind, SignalStatus

S = IntentState
ACCEPTED = OrderStatus.OPEN


def bought(quantity: int = 10) -> tuple[Store, OrderIntent]:
    """A store with one direct BUY that is being sent."""
    store = Store(situation("BTCUSDT"))
    signal = direct_signal(SignalKind.BUY, quantity=d(quantity))
    intent = only(store.write(decide(logged(signal), store.seen(), RULES), 1).intents)
    store.claim(intent)
    return store, intent


def entered() -> tuple[Store, OrderIntent, OrderIntent]:
    """A store with the two legs of a synthetic future, the first being sent."""
    store = Store(situation())
    signal = portfolio_signal(SignalKind.BASE_ENTRY)
    call, put = store.write(decide(logged(signal), store.seen(), RULES), 1).intents
    store.claim(call)
    return store, call, put


def state(store: Store, intent: OrderIntent) -> IntentState:
    return store.intents[intent.client_order_id].state


def position(store: Store) -> Position:
    return next(iter(store.positions.values()))


def told(intent: OrderIntent, word: Outcome | Absent | Unsettled, attempt: int = 1) -> Told:
    return Told(client_order_id=intent.client_order_id, attempt=attempt, word=word)


@pytest.mark.req("ORD-10")
def test_a_fill_books_only_what_exceeds_the_book() -> None:
    store, intent = bought()
    store.tell(told(intent, filled(intent, 4, 100)))
    settled = store.tell(told(intent, filled(intent, 4, 100)))
    assert settled.fills == ()
    fill = store.tell(told(intent, report(intent, ACCEPTED, quantity=7, price=100))).fills[0]
    assert (fill.quantity, fill.value, fill.price, fill.cumulative_quantity) == (3, 300, 100, 7)
    assert state(store, intent) is S.PARTIALLY_FILLED
    store.check()


@pytest.mark.req("ORD-10", "PF-13")
def test_reports_in_any_order_and_number_end_in_the_same_book() -> None:
    intent = bought()[1]
    words = (
        report(intent, ACCEPTED),
        filled(intent, 3, 100),
        filled(intent, 6, 105),
        report(intent, OrderStatus.CANCELLED, quantity=8, price=105),
    )
    for order in permutations(words):
        store, intent = bought()
        for word in (*order, *order):
            store.tell(told(intent, word))
        leg = position(store).legs[0]
        assert (leg.bought_quantity, leg.bought_value) == (8, 840)
        assert state(store, intent) is S.CANCELLED
        assert store.alarms == []
        store.check()


steps = st.lists(st.tuples(st.integers(1, 5), st.integers(90, 110)), min_size=1, max_size=6).map(
    lambda fills: [
        (sum(q for q, _ in fills[: n + 1]), sum(q * p for q, p in fills[: n + 1]))
        for n in range(len(fills))
    ]
)


@pytest.mark.req("ORD-10", "PF-13")
@given(data=st.data(), cumulative=steps)
def test_profit_and_quantity_equal_the_fills_under_repeats_gaps_and_reordering(
    data: st.DataObject, cumulative: list[tuple[int, int]]
) -> None:
    store, intent = bought(cumulative[-1][0])
    reports = [
        Placed(
            report=OrderReport(
                broker_order_id="b",
                status=OrderStatus.PARTIALLY_FILLED,
                filled_quantity=Decimal(quantity),
                filled_value=Decimal(value),
            )
        )
        for quantity, value in cumulative
    ]
    heard = data.draw(st.lists(st.sampled_from(reports), max_size=12))
    order = data.draw(st.permutations([*heard, reports[-1]]))
    for word in order:
        store.tell(told(intent, word))
    leg = position(store).legs[0]
    assert (leg.bought_quantity, leg.bought_value) == cumulative[-1]
    assert sum(fill.value for fill in store.fills) == cumulative[-1][1]
    assert state(store, intent) is S.FILLED
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-4")
def test_what_the_venue_says_counts_whichever_attempt_made_the_order() -> None:
    store, intent = bought()
    store.tell(told(intent, NotSent(detail="late")))
    store.claim(intent)
    store.tell(told(intent, filled(intent, 10), attempt=1))
    assert state(store, intent) is S.FILLED


@pytest.mark.req("ORD-4")
@pytest.mark.parametrize(
    "word",
    [
        NotPlaced(code="-1", message="no"),
        NotPlaced(code="-1", message="no", retry=True),
        NotSent(detail="late"),
        Unknown(detail="lost"),
        Absent(conclusive=True, detail="none"),
        Unsettled(detail="none"),
    ],
)
def test_a_denial_of_another_attempt_or_of_a_known_order_changes_nothing(
    word: Outcome | Absent | Unsettled,
) -> None:
    store, intent = bought()
    store.tell(told(intent, word, attempt=2))
    assert state(store, intent) is S.SENDING
    store.tell(told(intent, report(intent, ACCEPTED)))
    settled = store.tell(told(intent, word))
    assert state(store, intent) is S.ACKED
    assert (settled.intents, settled.positions) == ((), ())


@pytest.mark.req("ORD-5", "ORD-7")
@pytest.mark.parametrize(
    ("words", "expected", "status"),
    [
        ([NotPlaced(code="-2019", message="margin")], S.REJECTED, SignalStatus.FAILED),
        ([NotPlaced(code="-1021", message="c", retry=True)], S.NEW, SignalStatus.EXECUTING),
        ([NotSent(detail="late")], S.NEW, SignalStatus.EXECUTING),
        ([Unknown(detail="t")], S.IN_DOUBT, SignalStatus.IN_DOUBT),
        ([Unknown(detail="t"), NotSent(detail="late")], S.NEW, SignalStatus.EXECUTING),
        (
            [Unknown(detail="t"), Absent(conclusive=True, detail="n")],
            S.NEW,
            SignalStatus.EXECUTING,
        ),
        (
            [Unknown(detail="t"), Absent(conclusive=False, detail="n")],
            S.IN_DOUBT,
            SignalStatus.IN_DOUBT,
        ),
        ([Unknown(detail="t"), Unsettled(detail="n")], S.QUARANTINED, SignalStatus.IN_DOUBT),
        (
            [Unsettled(detail="n"), Absent(conclusive=True, detail="a person")],
            S.NOT_PLACED,
            SignalStatus.FAILED,
        ),
    ],
)
def test_each_word_has_its_meaning_for_the_order_and_its_signal(
    words: list[Outcome | Absent | Unsettled], expected: IntentState, status: SignalStatus
) -> None:
    store, intent = bought()
    for word in words:
        store.tell(told(intent, word))
    assert state(store, intent) is expected
    assert store.signals[1][0] is status
    if status is SignalStatus.FAILED:
        assert position(store).status is PositionStatus.CLOSED
        assert position(store).reason == "not_filled"
    store.check()


@pytest.mark.req("SIG-13", "ORD-3")
def test_an_order_that_was_not_sent_in_time_expires() -> None:
    store, intent = bought()
    store.advance(61)
    store.tell(told(intent, NotSent(detail="late")))
    assert state(store, intent) is S.EXPIRED
    assert store.signals[1] == (SignalStatus.EXPIRED, "too_old")


@pytest.mark.req("ORD-4")
@pytest.mark.parametrize("believed", [S.NEW, S.NOT_PLACED, S.EXPIRED, S.REJECTED])
@pytest.mark.parametrize("status", [OrderStatus.FILLED, OrderStatus.CANCELLED])
def test_an_execution_that_contradicts_our_book_is_believed_alarmed_and_blocks(
    believed: IntentState, status: OrderStatus
) -> None:
    store, intent = bought()
    now = store.intents[intent.client_order_id]
    store.intents[intent.client_order_id] = replace(now, state=believed)
    quantity = 10 if status is OrderStatus.FILLED else 4
    settled = store.tell(told(intent, report(intent, status, quantity=quantity)))
    assert state(store, intent).value == status.name
    assert settled.block == "contradiction"
    assert settled.alarms
    assert position(store).legs[0].net == quantity
    assert position(store).status is PositionStatus.OPEN
    store.check()


@pytest.mark.req("ORD-4")
def test_an_order_that_was_there_and_is_cancelled_is_not_sent_again() -> None:
    store, intent = bought()
    store.tell(told(intent, NotSent(detail="late")))
    settled = store.tell(told(intent, report(intent, OrderStatus.CANCELLED)))
    assert state(store, intent) is S.CANCELLED
    assert settled.block == "contradiction"


@pytest.mark.req("ORD-4")
def test_two_executed_orders_for_one_intent_alarm_and_block() -> None:
    store, intent = bought()
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="a")))
    settled = store.tell(
        told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="b"))
    )
    assert settled.block == "two_orders"
    assert "a and b" in settled.alarms[0]
    assert (settled.fills, position(store).legs[0].net) == ((), 10)
    store.check()


@pytest.mark.req("ORD-4")
def test_of_two_orders_the_executed_one_is_booked_and_a_dead_one_is_no_news() -> None:
    store, intent = bought()
    store.tell(told(intent, report(intent, ACCEPTED, order_id="a")))
    dead = store.tell(told(intent, report(intent, OrderStatus.REJECTED, order_id="c")))
    assert (dead.intents, dead.block) == ((), None)
    settled = store.tell(
        told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="b"))
    )
    assert settled.block == "two_orders"
    assert store.intents[intent.client_order_id].broker_order_id == "b"
    store.check()


@pytest.mark.req("ORD-4")
def test_an_acceptance_heard_after_the_refusal_of_the_same_order_is_only_late() -> None:
    store, intent = bought()
    store.tell(told(intent, report(intent, OrderStatus.REJECTED, message="margin")))
    settled = store.tell(told(intent, report(intent, ACCEPTED)))
    assert (settled.intents, settled.block) == ((), None)
    assert store.signals[1] == (SignalStatus.FAILED, "margin")


@pytest.mark.req("ORD-10")
def test_filled_without_the_whole_quantity_is_not_the_end() -> None:
    store, intent = bought()
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=0)))
    assert state(store, intent) is S.ACKED
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=6)))
    assert state(store, intent) is S.PARTIALLY_FILLED


@pytest.mark.req("ORD-10")
def test_more_than_asked_is_booked_alarmed_and_blocks() -> None:
    store, intent = bought()
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=11)))
    assert settled.block == "overfilled"
    assert position(store).legs[0].net == 11


@pytest.mark.req("ORD-10")
def test_a_fill_without_a_price_alarms() -> None:
    store, intent = bought()
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10, price=0)))
    assert "without a price" in settled.alarms[0]


@pytest.mark.req("ORD-4")
def test_a_fill_that_overtook_our_cancel_opens_the_position_after_all() -> None:
    store, call, put = entered()
    store.tell(told(call, report(call, ACCEPTED)))
    store.tell(told(call, report(call, OrderStatus.CANCELLED)))
    assert position(store).status is PositionStatus.CLOSED
    assert state(store, put) is S.EXPIRED
    settled = store.tell(told(call, filled(call, call.order.quantity)))
    assert position(store).status is PositionStatus.PARTIAL
    assert settled.block == "unequal_legs"
    store.check()


@pytest.mark.req("PF-8")
def test_a_late_fill_never_takes_a_slot_that_was_given_to_another() -> None:
    store, call, _ = entered()
    store.tell(told(call, report(call, ACCEPTED)))
    store.tell(told(call, report(call, OrderStatus.CANCELLED)))
    rival = replace(position(store), id="p2", status=PositionStatus.OPEN)  # type: ignore[arg-type]
    store.positions[rival.id] = rival
    settled = store.tell(told(call, filled(call, call.order.quantity)))
    assert settled.block == "slot_conflict"
    assert position(store).status is PositionStatus.CLOSED
    assert position(store).leg("ce").net == call.order.quantity


@pytest.mark.req("PF-20")
def test_a_synthetic_future_opens_at_strike_plus_call_minus_put() -> None:
    store, call, put = entered()
    store.fill(call, 520)
    assert position(store).status is PositionStatus.PENDING
    store.claim(put)
    store.fill(put, 480)
    assert position(store).status is PositionStatus.OPEN
    assert position(store).entry_price == 52000 + 520 - 480
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("PF-21")
def test_a_leg_whose_predecessor_failed_is_never_sent() -> None:
    store, call, put = entered()
    store.tell(told(call, NotPlaced(code="400", message="margin")))
    assert state(store, put) is S.EXPIRED
    assert store.intents[put.client_order_id].reason == "predecessor_rejected"
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.FAILED, "400: margin")
    assert store.alarms == []
    store.check()


@pytest.mark.req("PF-21")
def test_one_leg_without_the_other_is_partial_critical_and_blocks() -> None:
    store, call, put = entered()
    store.fill(call)
    store.claim(put)
    settled = store.word(put, NotPlaced(code="400", message="margin"))
    assert position(store).status is PositionStatus.PARTIAL
    assert settled.block == "unequal_legs"
    assert settled.alarms[0].startswith("CRITICAL main/BANK_NIFTY")
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    assert store.tell().alarms == ()
    store.check()


@pytest.mark.req("PF-21")
def test_legs_that_end_short_alike_are_a_smaller_position() -> None:
    store, call, put = entered()
    store.word(call, filled(call, call.order.quantity))
    store.claim(put)
    store.word(put, filled(put, 35))
    store.word(put, report(put, OrderStatus.CANCELLED, quantity=35))
    assert position(store).status is PositionStatus.PARTIAL
    gold = Store(situation("GOLD_MINI"))
    signal = portfolio_signal(SignalKind.BASE_ENTRY, instrument="GOLD_MINI", stop=d(51000))
    order = only(gold.write(decide(logged(signal), gold.seen(), RULES), 1).intents)
    gold.claim(order)
    gold.word(order, filled(order, 100))
    settled = gold.word(order, report(order, OrderStatus.CANCELLED, quantity=100))
    assert (position(gold).status, position(gold).lots) == (PositionStatus.OPEN, 1)
    assert settled.block is None
    assert "1 of 4 lots" in settled.alarms[0]
    assert gold.tell().alarms == ()
    gold.check()


@pytest.mark.req("SIG-14")
def test_without_words_it_looks_again_at_what_was_expired_elsewhere() -> None:
    store, intent = bought()
    now = store.intents[intent.client_order_id]
    expired = replace(now, state=S.EXPIRED, reason="too_old")
    store.intents[intent.client_order_id] = expired
    store.tell()
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.EXPIRED, "too_old")


def test_a_word_about_an_order_that_the_books_lack_is_a_bug() -> None:
    store, _ = bought()
    stranger = Told(client_order_id=ClientOrderId("oftstx"), attempt=1, word=Unknown(detail="?"))
    with pytest.raises(Bug, match="broken promise"):
        store.tell(stranger)
