"""Legs that end unequal: completed while fresh, else undone; never naked, never silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import (
    NOW,
    RULES,
    Store,
    d,
    entering,
    filled,
    logged,
    portfolio_signal,
    position_of,
    report,
    situation,
)
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.intent import OrderIntent, Side
from onefill.core.orders.report import NotPlaced, OrderStatus, Unknown
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

NO = NotPlaced(code="400", message="margin")


def half_built() -> Store:
    """The call is bought, the put was refused."""
    store, call, put = entering()
    store.fill(call, 500)
    store.claim(put)
    store.word(put, NO)
    return store


def repair(store: Store) -> tuple[OrderIntent, ...]:
    decision: Decision | None = go_on(store.seen(), RULES)
    return store.write(decision).intents if decision else ()


def fail(store: Store, *intents: OrderIntent) -> None:
    for intent in intents:
        store.claim(intent)
        store.word(intent, NO)


@pytest.mark.req("PF-21")
def test_a_refused_leg_is_asked_for_again_and_completes_the_position() -> None:
    store = half_built()
    assert position_of(store).status is PositionStatus.PARTIAL
    (put,) = repair(store)
    assert (put.leg, put.order.side, put.order.quantity) == ("pe", Side.SELL, 105)
    assert (put.action, put.n, put.source) == ("complete", 1, position_of(store).id)
    assert repair(store) == ()  # one round at a time
    store.claim(put)
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    store.fill(put, 480)
    assert position_of(store).status is PositionStatus.OPEN
    assert position_of(store).entry_price == 52000 + 500 - 480
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    assert store.situation.blocked is None
    store.check()


@pytest.mark.req("PF-21")
def test_a_leg_that_is_refused_again_and_again_is_undone() -> None:
    store = half_built()
    fail(store, *repair(store))
    assert repair(store) == ()  # not before its pause is over
    store.advance(1)
    fail(store, *repair(store))
    store.advance(2)
    (sell,) = repair(store)
    assert (sell.leg, sell.order.side, sell.order.quantity) == ("ce", Side.SELL, 105)
    assert (sell.action, sell.n, sell.order.reduce_only) == ("unwind", 3, True)
    store.claim(sell)
    store.fill(sell, 490)
    position = position_of(store)
    assert (position.status, position.reason) == (PositionStatus.CLOSED, "unwound")
    assert position.realised == (490 - 500) * 105
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    assert store.situation.blocked is None
    store.check()


@pytest.mark.req("PF-21")
def test_when_both_fail_it_is_critical_the_lane_blocks_and_it_is_tried_again() -> None:
    store = half_built()
    for seconds in (0, 1, 2):
        store.advance(seconds)
        fail(store, *repair(store))
    assert position_of(store).status is PositionStatus.PARTIAL
    assert store.situation.blocked == "unequal_legs"
    assert store.alarms[-1].startswith("CRITICAL main/BANK_NIFTY")
    store.advance(5)
    (sell,) = repair(store)
    assert sell.action == "unwind"
    store.claim(sell)
    store.fill(sell)
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.situation.blocked == "unequal_legs"  # a person has to look
    store.check()


@pytest.mark.req("PF-21")
def test_a_partly_filled_first_leg_is_completed_before_the_second_is_sold() -> None:
    store, call, _ = entering()
    store.word(call, filled(call, 35))
    store.word(call, report(call, OrderStatus.CANCELLED, quantity=35))
    assert position_of(store).status is PositionStatus.PARTIAL
    more, put = repair(store)
    assert [(i.leg, i.order.side, i.order.quantity) for i in (more, put)] == [
        ("ce", Side.BUY, 70),
        ("pe", Side.SELL, 105),
    ]
    assert put.after == more.client_order_id
    store.claim(more)
    store.fill(more)
    store.claim(put)
    store.fill(put)
    assert position_of(store).status is PositionStatus.OPEN
    store.check()


@pytest.mark.req("PF-21")
def test_a_partly_filled_second_leg_is_undone_to_what_both_hold() -> None:
    store, call, put = entering()
    store.fill(call)
    store.claim(put)
    store.word(put, filled(put, 35))
    store.word(put, report(put, OrderStatus.CANCELLED, quantity=35))
    store.advance(61)  # too late to trade more
    (sell,) = repair(store)
    assert (sell.leg, sell.order.side, sell.order.quantity) == ("ce", Side.SELL, 70)
    store.claim(sell)
    store.fill(sell)
    assert (position_of(store).status, position_of(store).lots) == (PositionStatus.OPEN, 1)
    store.check()


@pytest.mark.req("PF-21", "SIG-18")
@pytest.mark.parametrize("why", ["late", "paused", "blocked"])
def test_what_is_late_paused_or_blocked_is_undone_not_completed(why: str) -> None:
    store = half_built()
    over = {"late": {}, "paused": {"paused": True}, "blocked": {"blocked": "x"}}[why]
    store.situation = replace(store.situation, **over)
    store.advance(61 if why == "late" else 0)
    assert [intent.action for intent in repair(store)] == ["unwind"]


@pytest.mark.req("PF-21", "ORD-8")
def test_nothing_is_repaired_while_the_short_leg_is_in_doubt() -> None:
    store, call, put = entering()
    store.fill(call)
    store.claim(put)
    store.word(put, Unknown(detail="no answer"))
    store.advance(1000)
    assert repair(store) == ()
    store = half_built()
    (again,) = repair(store)
    store.claim(again)
    store.word(again, Unknown(detail="no answer"))
    store.advance(1000)
    assert repair(store) == ()


@pytest.mark.req("PF-12", "PF-21")
def test_an_exit_overtakes_a_repair_that_is_not_sent() -> None:
    store = half_built()
    (put,) = repair(store)
    leave = portfolio_signal(SignalKind.EXIT, reason="signal", time=NOW + timedelta(seconds=5))
    decision = store.write(decide(logged(leave, 2), store.seen(), RULES), 2)
    assert decision.withdraw == (put.client_order_id,)
    (sell,) = decision.intents
    assert (sell.leg, sell.order.quantity, sell.action) == ("ce", 105, "close")
    store.claim(sell)
    store.fill(sell)
    assert position_of(store).status is PositionStatus.CLOSED
    store.check()


@pytest.mark.req("PF-21")
def test_an_entry_waits_while_the_lane_is_being_repaired() -> None:
    store = half_built()
    entry = portfolio_signal(
        SignalKind.BASE_ENTRY, time=NOW + timedelta(seconds=1), order_id="again"
    )
    assert decide(logged(entry, 2), store.seen(), RULES).wait


@pytest.mark.req("PF-21", "ORD-8")
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_brokers_say_the_short_is_covered_and_it_ends(data: st.DataObject) -> None:
    """Fills, parts, refusals and doubts at random: no naked option, and always a way out."""
    store = Store(situation())
    signal = portfolio_signal(SignalKind.BASE_ENTRY)
    open_orders = list(store.write(decide(logged(signal), store.seen(), RULES), 1).intents)
    for round_ in range(30):
        for intent in open_orders:
            _trade(store, intent, data, calm=round_ > 20)
            store.check()
        store.advance(61 if round_ > 20 else data.draw(st.sampled_from([0.2, 5, 61])))
        open_orders = list(repair(store))
    done = (PositionStatus.OPEN, PositionStatus.CLOSED)
    assert position_of(store).status in done
    assert position_of(store).is_flat or d(0) == sum(leg.net for leg in position_of(store).legs)


def _trade(store: Store, intent: OrderIntent, data: st.DataObject, *, calm: bool) -> None:
    present = store.intents[intent.client_order_id]
    before = store.intents.get(present.after) if present.after else None
    if not present.is_live or (before is not None and before.state != "FILLED"):
        return
    store.claim(present)
    part = data.draw(st.sampled_from([0, 35, 70]))
    match "fill" if calm else data.draw(st.sampled_from(["fill", "part", "refuse"])):
        case "fill":
            store.fill(present)
        case "part" if part < present.order.quantity:
            store.word(present, report(present, OrderStatus.CANCELLED, quantity=part))
        case _:
            store.word(present, NO)
