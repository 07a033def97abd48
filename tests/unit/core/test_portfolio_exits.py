from dataclasses import replace
from datetime import timedelta

import pytest

from makers import NOW, RULES, Store, d, filled, logged, only, portfolio_signal, report, situation
from onefill.core import going_on
from onefill.core.book import WAIT, Decision
from onefill.core.decide import decide
from onefill.core.intent import IntentState, OrderIntent, Side
from onefill.core.orders.closing import continue_exits
from onefill.core.orders.report import NotPlaced, NotSent, OrderStatus, Unknown
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

BASE = portfolio_signal(SignalKind.BASE_ENTRY)
EXIT = portfolio_signal(SignalKind.EXIT, reason="stop", time=NOW + timedelta(minutes=5))


def started() -> tuple[Store, OrderIntent, OrderIntent]:
    store = Store(situation())
    call, put = store.write(decide(logged(BASE), store.seen(), RULES), 1).intents
    return store, call, put


def bought() -> Store:
    store, call, put = started()
    store.claim(call, put)
    store.fill(call, 500)
    store.fill(put, 480)
    return store


def leave(store: Store, slot: str = "Long_1", number: int = 2) -> Decision:
    signal = replace(EXIT, position=slot, time=EXIT.time + timedelta(seconds=number))
    return store.write(decide(logged(signal, number), store.seen(), RULES), number)


def go_on(store: Store) -> tuple[OrderIntent, ...]:
    again = continue_exits(store.seen(), RULES)
    return store.write(again).intents if again else ()


def position(store: Store) -> Position:
    return next(iter(store.positions.values()))


@pytest.mark.req("SIG-14")
def test_an_entry_whose_second_leg_is_withdrawn_by_its_exit_has_ended() -> None:
    store, call, _ = started()
    store.claim(call)
    store.fill(call, 500)
    [ended] = leave(store).signals
    assert (ended.signal_id, ended.status) == (1, SignalStatus.EXECUTED)
    assert ended.reason == "partly_filled"


@pytest.mark.req("SIG-14")
def test_an_entry_whose_first_leg_is_being_sent_is_ended_by_its_settlement() -> None:
    store, call, _ = started()
    store.claim(call)
    assert leave(store).signals == ()


@pytest.mark.req("PF-12", "PF-20")
def test_an_exit_buys_back_the_short_leg_before_it_sells_the_long_one() -> None:
    store = bought()
    put, call = leave(store).intents
    assert position(store).status is PositionStatus.CLOSING
    assert [(i.leg, i.order.side, i.order.quantity) for i in (put, call)] == [
        ("pe", Side.BUY, 105),
        ("ce", Side.SELL, 105),
    ]
    assert call.after == put.client_order_id
    assert (put.source, put.action, put.n) == (position(store).id, "close", 1)
    assert not put.adds_exposure
    assert put.valid_until is None


@pytest.mark.req("PF-12", "PF-13", "SIG-14")
def test_an_exit_ends_flat_with_the_profit_of_its_fills() -> None:
    store = bought()
    put, call = leave(store).intents
    store.claim(put)
    store.fill(put, 400)
    assert store.signals[2] == (SignalStatus.EXECUTING, None)
    store.claim(call)
    store.fill(call, 620)
    assert position(store).status is PositionStatus.CLOSED
    assert position(store).closed_at == store.now
    assert position(store).reason == "stop"
    assert position(store).realised == ((620 - 500) + (480 - 400)) * 105
    assert store.signals == {1: (SignalStatus.EXECUTED, None), 2: (SignalStatus.EXECUTED, None)}
    store.check()


@pytest.mark.req("PF-12", "SIG-12")
def test_what_is_closing_or_closed_is_not_closed_again() -> None:
    store = bought()
    put, call = leave(store).intents
    assert leave(store, "Long_1", 3).reason == "already_closing"
    assert leave(store, "ALL", 4).reason == "already_closing"
    assert leave(store, "Long_2", 5).reason == "nothing_to_close"
    store.claim(put, call)
    store.fill(put)
    store.fill(call)
    decision = leave(store, "ALL", 6)
    assert (decision.status, decision.reason) == (SignalStatus.IGNORED, "nothing_to_close")


@pytest.mark.req("PF-12")
def test_all_closes_every_position_of_the_instrument_once() -> None:
    store = bought()
    base = position(store)
    second = replace(base, id="p2", slot="Long_2")  # type: ignore[arg-type]
    store.positions[second.id] = second
    leave(store, "Long_2", 2)
    decision = leave(store, "ALL", 3)
    assert {i.position_id for i in decision.intents} == {base.id}
    store.claim(*decision.intents)
    for intent in decision.intents:
        store.fill(intent)
    assert store.signals[3] == (SignalStatus.EXECUTED, None)


@pytest.mark.req("PF-12", "SIG-18")
def test_neither_a_pause_nor_a_block_nor_age_stops_an_exit() -> None:
    store = bought()
    seen = store.seen(paused=True, blocked="unequal_legs", now=NOW + timedelta(days=1))
    assert len(decide(logged(EXIT, 2), seen, RULES).intents) == 2


@pytest.mark.req("CTL-9", "SIG-18")
def test_while_exits_are_paused_too_an_exit_waits_and_a_begun_one_does_not_go_on() -> None:
    store = bought()
    still = store.seen(paused=True, exits_paused=True)
    assert decide(logged(EXIT, 2), still, RULES) is WAIT
    leaving = leave(store)
    store.claim(*leaving.intents)
    for intent in leaving.intents:
        store.word(intent, NotPlaced(code="no", message="no"))
    later = NOW + timedelta(minutes=5)
    assert going_on.go_on(store.seen(now=later, paused=True), RULES) is not None
    assert going_on.go_on(store.seen(now=later, paused=True, exits_paused=True), RULES) is None


@pytest.mark.req("PF-12", "SIG-12")
def test_an_exit_before_anything_was_sent_withdraws_the_entry() -> None:
    store, call, put = started()
    decision = leave(store)
    assert set(decision.withdraw) == {call.client_order_id, put.client_order_id}
    assert decision.status is SignalStatus.EXECUTED
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.IGNORED, "overtaken")
    store.check()


@pytest.mark.req("ORD-8")
def test_an_exit_while_the_entry_is_in_doubt_sells_what_is_confirmed_later() -> None:
    store, call, put = started()
    store.claim(call)
    store.word(call, Unknown(detail="time-out"))
    decision = leave(store)
    assert decision.intents == ()
    assert decision.status is SignalStatus.DECIDED
    assert decision.withdraw == (put.client_order_id,)
    store.tell()
    assert position(store).status is PositionStatus.CLOSING  # the order may still fill
    store.fill(call, 500)
    sell = only(go_on(store))
    assert (sell.leg, sell.order.side, sell.order.quantity) == ("ce", Side.SELL, 105)
    store.claim(sell)
    store.fill(sell, 510)
    assert store.signals[2] == (SignalStatus.EXECUTED, None)
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    store.check()


@pytest.mark.req("ORD-8")
def test_an_entry_that_was_not_sent_is_not_sent_again_once_its_exit_is_asked() -> None:
    store, call, _ = started()
    store.claim(call)
    leave(store)
    store.word(call, NotSent(detail="late"))
    assert store.intents[call.client_order_id].state is IntentState.EXPIRED
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.IGNORED, "overtaken")
    assert store.signals[2] == (SignalStatus.EXECUTED, None)


@pytest.mark.req("ORD-8", "PF-12")
def test_a_partly_filled_entry_sells_its_confirmed_part_now_and_the_rest_when_confirmed() -> None:
    store, call, _ = started()
    store.claim(call)
    store.word(call, filled(call, 40))
    first = only(leave(store).intents)
    assert first.order.quantity == 40
    store.fill(call)
    assert go_on(store) == ()  # not before its time
    store.advance(2)
    second = only(go_on(store))
    assert (second.order.quantity, second.n) == (65, 2)


@pytest.mark.req("PF-21")
@pytest.mark.parametrize("doubt", [True, False])
def test_the_long_leg_is_not_sold_while_the_short_one_is_unsettled(doubt: bool) -> None:
    store, call, put = started()
    store.claim(call, put)
    store.fill(call, 500)
    if doubt:
        store.word(put, Unknown(detail="time-out"))
    assert leave(store).intents == ()
    assert go_on(store) == ()
    store.fill(put, 480)
    assert [intent.leg for intent in go_on(store)] == ["pe", "ce"]


@pytest.mark.req("PF-21")
def test_a_short_leg_that_never_was_frees_the_long_one() -> None:
    store, call, put = started()
    store.claim(call, put)
    store.fill(call, 500)
    leave(store)
    store.word(put, NotPlaced(code="400", message="margin"))
    assert [intent.leg for intent in go_on(store)] == ["ce"]


@pytest.mark.req("PF-12")
def test_an_exit_that_ends_short_is_issued_again_with_growing_pauses_until_flat() -> None:
    store = bought()
    put, _ = leave(store).intents
    store.claim(put)
    store.word(put, filled(put, 5))
    store.word(put, report(put, OrderStatus.CANCELLED, quantity=5))
    assert any("issued again" in alarm for alarm in store.alarms)
    assert store.signals[2] == (SignalStatus.EXECUTING, None)
    assert go_on(store) == ()
    store.advance(1)
    put, call = go_on(store)
    assert (put.n, put.order.quantity, call.order.quantity) == (2, 100, 105)
    assert put.signal_id == 2
    store.claim(put)
    store.word(put, NotPlaced(code="400", message="closed"))
    store.advance(1)
    assert go_on(store) == ()
    store.advance(1)
    put, call = go_on(store)
    assert put.n == 3
    store.claim(put, call)
    store.fill(put)
    store.fill(call)
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[2] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("PF-12")
def test_nothing_is_closed_twice_while_its_order_is_under_way_or_in_doubt() -> None:
    store = bought()
    put, _ = leave(store).intents
    store.advance(3600)
    assert go_on(store) == ()
    store.claim(put)
    store.word(put, Unknown(detail="time-out"))
    assert go_on(store) == ()


@pytest.mark.req("PF-12", "ORD-4")
def test_a_fill_after_the_end_brings_the_position_back_and_closes_it() -> None:
    store, call, _ = started()
    store.claim(call)
    store.word(call, report(call, OrderStatus.OPEN))
    leave(store)
    store.word(call, report(call, OrderStatus.CANCELLED))
    assert position(store).status is PositionStatus.CLOSED
    store.fill(call, 500)
    assert position(store).status is PositionStatus.CLOSING
    assert only(go_on(store)).order.quantity == d(105)
    store.check()
