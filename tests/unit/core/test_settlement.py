from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import (
    RULES,
    Store,
    buying,
    d,
    entering,
    filled,
    logged,
    only,
    portfolio_signal,
    position_of,
    report,
    situation,
    state_of,
    told,
)
from onefill.core.decide import decide
from onefill.core.errors import Bug
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState
from onefill.core.orders.report import (
    Absent,
    NotPlaced,
    NotSent,
    OrderReport,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.orders.settlement import Told, Unsettled
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

S = IntentState
ACCEPTED = OrderStatus.OPEN


@pytest.mark.req("ORD-10")
def test_a_fill_books_only_what_exceeds_the_book() -> None:
    store, intent = buying()
    store.tell(told(intent, filled(intent, 4, 100)))
    settled = store.tell(told(intent, filled(intent, 4, 100)))
    assert settled.fills == ()
    fill = store.tell(told(intent, report(intent, ACCEPTED, quantity=7, price=100))).fills[0]
    assert (fill.quantity, fill.value, fill.price, fill.cumulative_quantity) == (3, 300, 100, 7)
    assert state_of(store, intent) is S.PARTIALLY_FILLED
    store.check()


@pytest.mark.req("ORD-10", "PF-13")
def test_reports_in_any_order_and_number_end_in_the_same_book() -> None:
    intent = buying()[1]
    words = (
        report(intent, ACCEPTED),
        filled(intent, 3, 100),
        filled(intent, 6, 105),
        report(intent, OrderStatus.CANCELLED, quantity=8, price=105),
    )
    for order in permutations(words):
        store, intent = buying()
        for word in (*order, *order):
            store.tell(told(intent, word))
        leg = position_of(store).legs[0]
        assert (leg.bought_quantity, leg.bought_value) == (8, 840)
        assert state_of(store, intent) is S.CANCELLED
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
    store, intent = buying(cumulative[-1][0])
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
    leg = position_of(store).legs[0]
    assert (leg.bought_quantity, leg.bought_value) == cumulative[-1]
    assert sum(fill.value for fill in store.fills) == cumulative[-1][1]
    assert state_of(store, intent) is S.FILLED
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-4")
def test_what_the_venue_says_counts_whichever_attempt_made_the_order() -> None:
    store, intent = buying()
    store.tell(told(intent, NotSent(detail="late")))
    store.claim(intent)
    store.tell(told(intent, filled(intent, 10), attempt=1))
    assert state_of(store, intent) is S.FILLED


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
    store, intent = buying()
    store.tell(told(intent, word, attempt=2))
    assert state_of(store, intent) is S.SENDING
    store.tell(told(intent, report(intent, ACCEPTED)))
    settled = store.tell(told(intent, word))
    assert state_of(store, intent) is S.ACKED
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
    store, intent = buying()
    for word in words:
        store.tell(told(intent, word))
    assert state_of(store, intent) is expected
    assert store.signals[1][0] is status
    if status is SignalStatus.FAILED:
        assert position_of(store).status is PositionStatus.CLOSED
        assert position_of(store).reason == "not_filled"
    store.check()


@pytest.mark.req("SIG-13", "ORD-3")
def test_an_order_that_was_not_sent_in_time_expires() -> None:
    store, intent = buying()
    store.advance(61)
    store.tell(told(intent, NotSent(detail="late")))
    assert state_of(store, intent) is S.EXPIRED
    assert store.signals[1] == (SignalStatus.EXPIRED, "too_old")


@pytest.mark.req("ORD-10")
def test_filled_without_the_whole_quantity_is_not_the_end() -> None:
    store, intent = buying()
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=0)))
    assert state_of(store, intent) is S.ACKED
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=6)))
    assert state_of(store, intent) is S.PARTIALLY_FILLED


@pytest.mark.req("ORD-10")
def test_more_than_asked_is_booked_alarmed_and_blocks() -> None:
    store, intent = buying()
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=11)))
    assert settled.block == "overfilled"
    assert position_of(store).legs[0].net == 11


@pytest.mark.req("ORD-10")
def test_a_fill_without_a_price_alarms() -> None:
    store, intent = buying()
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10, price=0)))
    assert "without a price" in settled.alarms[0]


@pytest.mark.req("PF-20")
def test_a_synthetic_future_opens_at_strike_plus_call_minus_put() -> None:
    store, call, put = entering()
    store.fill(call, 520)
    assert position_of(store).status is PositionStatus.PENDING
    store.claim(put)
    store.fill(put, 480)
    assert position_of(store).status is PositionStatus.OPEN
    assert position_of(store).entry_price == 52000 + 520 - 480
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("PF-21")
def test_a_leg_whose_predecessor_failed_is_never_sent() -> None:
    store, call, put = entering()
    store.tell(told(call, NotPlaced(code="400", message="margin")))
    assert state_of(store, put) is S.EXPIRED
    assert store.intents[put.client_order_id].reason == "predecessor_rejected"
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.FAILED, "400: margin")
    assert store.alarms == []
    store.check()


@pytest.mark.req("PF-21")
def test_one_leg_without_the_other_is_partial_and_told_once() -> None:
    store, call, put = entering()
    store.fill(call)
    store.claim(put)
    settled = store.word(put, NotPlaced(code="400", message="margin"))
    assert position_of(store).status is PositionStatus.PARTIAL
    assert settled.block is None
    assert "half built (ce 105, pe 0)" in settled.alarms[0]
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    assert store.tell().alarms == ()
    store.check()


@pytest.mark.req("PF-21")
def test_legs_that_end_short_alike_are_a_smaller_position() -> None:
    store, call, put = entering()
    store.word(call, filled(call, call.order.quantity))
    store.claim(put)
    store.word(put, filled(put, 35))
    store.word(put, report(put, OrderStatus.CANCELLED, quantity=35))
    assert position_of(store).status is PositionStatus.PARTIAL
    gold = Store(situation("GOLD_MINI"))
    signal = portfolio_signal(SignalKind.BASE_ENTRY, instrument="GOLD_MINI", stop=d(51000))
    order = only(gold.write(decide(logged(signal), gold.seen(), RULES), 1).intents)
    gold.claim(order)
    gold.word(order, filled(order, 100))
    settled = gold.word(order, report(order, OrderStatus.CANCELLED, quantity=100))
    assert (position_of(gold).status, position_of(gold).lots) == (PositionStatus.OPEN, 1)
    assert settled.block is None
    assert "1 of 4 lots" in settled.alarms[0]
    assert gold.tell().alarms == ()
    gold.check()


@pytest.mark.req("SIG-14")
def test_without_words_it_looks_again_at_what_was_expired_elsewhere() -> None:
    store, intent = buying()
    now = store.intents[intent.client_order_id]
    expired = replace(now, state=S.EXPIRED, reason="too_old")
    store.intents[intent.client_order_id] = expired
    store.tell()
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.EXPIRED, "too_old")


def test_a_word_about_an_order_that_the_books_lack_is_a_bug() -> None:
    store, _ = buying()
    stranger = Told(client_order_id=ClientOrderId("oftstx"), attempt=1, word=Unknown(detail="?"))
    with pytest.raises(Bug, match="broken promise"):
        store.tell(stranger)
