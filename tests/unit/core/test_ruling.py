"""What a person may decide about an order, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from makers import Store, buying, entering, position_of, report, state_of, told
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.report import OrderStatus
from onefill.core.orders.ruling import (
    PlacedAgain,
    Ruling,
    RulingRefusal,
    Surroundings,
    Verdict,
    place_again,
    refusal_of_ruling,
    word_of,
)
from onefill.core.orders.settlement import Unsettled
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalStatus

S = IntentState


def quarantined(quantity: int = 10) -> tuple[Store, OrderIntent]:
    store, intent = buying(quantity)
    store.tell(told(intent, Unsettled(detail="nowhere to be seen")))
    return store, store.intents[intent.client_order_id]


def ruling(verdict: Verdict, **over: Any) -> Ruling:
    return Ruling(verdict=verdict, note="looked at the broker", **over)


def rule(store: Store, intent: OrderIntent, verdict: Verdict, **over: Any) -> None:
    wanted = ruling(verdict, **over)
    assert refusal_of_ruling(store.intents[intent.client_order_id], wanted) is None
    store.tell(word_of(intent, wanted))


def around(store: Store, **over: Any) -> Surroundings:
    facts: dict[str, Any] = {
        "now": store.now + timedelta(seconds=66),
        "siblings": tuple(store.intents.values()),
        "positions": tuple(store.positions.values()),
        "paused": False,
        "blocked": None,
    }
    return Surroundings(**(facts | over))


@pytest.mark.req("ORD-7")
def test_a_person_rules_an_order_out_and_its_lane_goes_on() -> None:
    store, intent = quarantined()
    assert store.seen().in_doubt
    rule(store, intent, Verdict.NOT_PLACED)
    assert state_of(store, intent) is S.NOT_PLACED
    assert not store.seen().in_doubt
    assert store.signals[1][0] is SignalStatus.FAILED
    assert position_of(store).status is PositionStatus.CLOSED


@pytest.mark.req("ORD-7", "ORD-10")
def test_a_person_tells_what_was_filled_and_the_rest_is_followed() -> None:
    store, intent = quarantined()
    rule(store, intent, Verdict.PLACED, broker_order_id="77", filled_quantity=4, average_price=50)
    assert state_of(store, intent) is S.PARTIALLY_FILLED
    assert store.intents[intent.client_order_id].broker_order_id == "77"
    leg = position_of(store).legs[0]
    assert (leg.net, leg.bought_value) == (4, 200)
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="77")))
    assert position_of(store).legs[0].net == 10
    store.check()


@pytest.mark.req("ORD-4")
def test_the_venues_word_wins_over_a_persons_alarms_and_blocks() -> None:
    store, intent = quarantined()
    rule(store, intent, Verdict.NOT_PLACED)
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10)))
    assert state_of(store, intent) is S.FILLED
    assert settled.block == "contradiction"
    assert settled.alarms
    assert position_of(store).legs[0].net == 10


@pytest.mark.req("ORD-4")
def test_late_evidence_settles_a_quarantined_order_without_a_person() -> None:
    store, intent = quarantined()
    settled = store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10)))
    assert (state_of(store, intent), settled.block) == (S.FILLED, None)
    assert store.signals[1] == (SignalStatus.EXECUTED, None)


@pytest.mark.req("ORD-7")
def test_a_verdict_that_comes_after_the_venues_word_changes_nothing() -> None:
    store, intent = quarantined()
    store.tell(told(intent, report(intent, OrderStatus.OPEN)))
    store.tell(word_of(intent, ruling(Verdict.NOT_PLACED)))
    assert state_of(store, intent) is S.ACKED


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(
    ("over", "refusal"),
    [
        ({}, RulingRefusal.NEEDS_THE_ORDER),
        ({"filled_quantity": 4, "average_price": 1}, RulingRefusal.NEEDS_THE_ORDER),
        ({"filled_quantity": 11, "average_price": 1}, RulingRefusal.TOO_MUCH),
        ({"filled_quantity": 10}, RulingRefusal.NO_PRICE),
        ({"filled_quantity": 10, "average_price": 0}, RulingRefusal.NO_PRICE),
        ({"broker_order_id": "7"}, None),
        ({"filled_quantity": 10, "average_price": 5}, None),
    ],
)
def test_a_verdict_must_say_enough(over: dict[str, Any], refusal: RulingRefusal | None) -> None:
    _, intent = quarantined()
    assert refusal_of_ruling(intent, ruling(Verdict.PLACED, **over)) is refusal


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize("state", [s for s in S if s is not S.QUARANTINED])
def test_only_a_quarantined_order_needs_a_person(state: IntentState) -> None:
    _, intent = buying()
    refusal = refusal_of_ruling(replace(intent, state=state), ruling(Verdict.NOT_PLACED))
    assert refusal is RulingRefusal.NOT_QUARANTINED


@pytest.mark.req("ORD-7", "ORD-1")
def test_placing_again_is_a_new_intent_and_its_position_waits_for_it() -> None:
    store, intent = quarantined()
    rule(store, intent, Verdict.NOT_PLACED)
    old = store.intents[intent.client_order_id]
    again = place_again(old, around(store))
    assert isinstance(again, PlacedAgain)
    assert (again.intent.n, again.intent.state, again.intent.attempt) == (2, S.NEW, 0)
    assert again.intent.order == old.order
    assert again.intent.client_order_id != old.client_order_id
    assert again.position is not None
    store.positions[again.position.id] = again.position
    store.intents[again.intent.client_order_id] = again.intent
    store.claim(again.intent)
    store.fill(again.intent)
    assert position_of(store).status is PositionStatus.OPEN
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-7")
def test_placing_again_is_refused_for_as_long_as_the_first_may_arrive() -> None:
    store, intent = quarantined()
    rule(store, intent, Verdict.NOT_PLACED)
    old = store.intents[intent.client_order_id]
    assert old.send_by is not None
    limit = old.send_by + timedelta(seconds=60)
    early = place_again(old, around(store, now=limit - timedelta(milliseconds=1)))
    assert early is RulingRefusal.TOO_EARLY
    assert isinstance(place_again(old, around(store, now=limit)), PlacedAgain)


@pytest.mark.req("ORD-7")
def test_placing_again_happens_once_and_only_after_a_verdict() -> None:
    store, intent = quarantined()
    assert place_again(intent, around(store)) is RulingRefusal.NOT_RULED_OUT
    rule(store, intent, Verdict.NOT_PLACED)
    old = store.intents[intent.client_order_id]
    again = place_again(old, around(store))
    assert isinstance(again, PlacedAgain)
    seen = around(store, siblings=(old, again.intent))
    assert place_again(old, seen) is RulingRefusal.PLACED_AGAIN


@pytest.mark.req("ORD-7", "ORD-8", "SIG-18")
def test_placing_again_respects_pause_and_block() -> None:
    store, intent = quarantined()
    rule(store, intent, Verdict.NOT_PLACED)
    old = store.intents[intent.client_order_id]
    assert place_again(old, around(store, paused=True)) is RulingRefusal.PAUSED
    assert place_again(old, around(store, blocked="x")) is RulingRefusal.LANE_BLOCKED


@pytest.mark.req("ORD-7", "PF-20")
def test_one_leg_of_two_is_not_placed_again_alone() -> None:
    store, call, _put = entering()
    store.tell(told(call, Unsettled(detail="nowhere")))
    rule(store, store.intents[call.client_order_id], Verdict.NOT_PLACED)
    old = store.intents[call.client_order_id]
    assert place_again(old, around(store)) is RulingRefusal.OTHERS_WAITED
