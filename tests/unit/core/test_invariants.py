from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import RULES, Store, d, filled, logged, portfolio_signal, report, situation
from onefill.core.decide import decide
from onefill.core.intent import CONTRADICTIONS, FINAL, TRANSITIONS, IntentState, step
from onefill.core.invariants import violations
from onefill.core.orders.closing import continue_exits
from onefill.core.orders.report import Absent, NotPlaced, NotSent, OrderStatus, Unknown
from onefill.core.orders.settlement import Told, Unsettled
from onefill.core.position import PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import END_STATUSES, SignalKind


def bought() -> Store:
    store = Store(situation())
    signal = portfolio_signal(SignalKind.BASE_ENTRY)
    intents = store.write(decide(logged(signal), store.seen(), RULES), 1).intents
    store.claim(*intents)
    for intent in intents:
        store.fill(intent)
    return store


def _lose_a_fill(store: Store) -> None:
    store.fills.pop()


def _copy_the_position(store: Store) -> None:
    first = next(iter(store.positions.values()))
    empty = replace(first, id="p2", legs=())  # type: ignore[arg-type]
    store.positions[empty.id] = empty


def _close_without_selling(store: Store) -> None:
    for name, each in store.positions.items():
        store.positions[name] = replace(each, status=PositionStatus.CLOSED, closed_at=store.now)


def _copy_an_intent(store: Store) -> None:
    first = next(iter(store.intents.values()))
    copy = replace(first, client_order_id="oftst0", filled_quantity=d(0))  # type: ignore[arg-type]
    store.intents[copy.client_order_id] = copy


def _forget_the_hedge(store: Store) -> None:
    first = next(iter(store.intents.values()))
    store.intents[first.client_order_id] = replace(first, state=IntentState.REJECTED)


@pytest.mark.req("ORD-10", "PF-8", "ORD-1", "PF-21")
@pytest.mark.parametrize(
    ("damage", "promises"),
    [
        (_lose_a_fill, {"positions_equal_fills", "intents_equal_fills"}),
        (_copy_the_position, {"one_position_a_slot"}),
        (_close_without_selling, {"closed_is_flat"}),
        (_copy_an_intent, {"one_intent_an_action", "filled_means_filled"}),
        (_forget_the_hedge, {"legs_in_order", "filled_means_filled"}),
    ],
)
def test_a_damaged_book_is_found(damage: Callable[[Store], None], promises: set[str]) -> None:
    store = bought()
    store.check()
    damage(store)
    found = violations(tuple(store.intents.values()), tuple(store.positions.values()), store.fills)
    assert {violation.promise for violation in found} == promises


@pytest.mark.req("ORD-4")
def test_every_state_that_is_not_final_has_a_way_out_and_leads_to_an_end() -> None:
    ways = {state: {b for (a, _), b in TRANSITIONS.items() if a is state} for state in IntentState}
    for state in set(IntentState) - FINAL:
        reached = {state}
        while (more := reached.union(*(ways[each] for each in reached))) != reached:
            reached = more
        assert ways[state] - {state}
        assert reached & FINAL


@pytest.mark.req("ORD-4")
def test_nothing_leaves_filled_and_no_event_is_both_normal_and_contradictory() -> None:
    assert not any(state is IntentState.FILLED for state, _ in TRANSITIONS)
    assert not TRANSITIONS.keys() & CONTRADICTIONS.keys()
    for (state, event), after in CONTRADICTIONS.items():
        assert step(state, event) == (after, True)


@pytest.mark.req("SIG-14")
def test_every_refusal_has_its_own_code_an_end_and_a_remedy() -> None:
    codes = [refusal.code for refusal in Refusal]
    assert len(codes) == len(set(codes))
    for refusal in Refusal:
        assert refusal.status in END_STATUSES
        assert refusal.remedy.endswith(".")
        assert Refusal.of(refusal.code) is refusal


ACTIONS = st.sampled_from(
    ["claim", "fill", "part", "cancel", "reject", "lose", "absent", "unsent", "exit", "again"]
)


@pytest.mark.req("PF-12", "PF-21", "ORD-4", "ORD-8", "PF-13")
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 5)), max_size=40))
def test_whatever_happens_to_a_position_its_book_stays_sound(
    happenings: list[tuple[str, int]],
) -> None:
    store = Store(situation())
    entry = portfolio_signal(SignalKind.BASE_ENTRY)
    store.write(decide(logged(entry), store.seen(), RULES), 1)
    for number, (action, which) in enumerate(happenings, start=2):
        store.advance(0.5)
        _happen(store, action, which, number)
        store.check()
        position = next(iter(store.positions.values()))
        assert position.leg("ce").net >= 0
        assert -position.leg("pe").net <= position.leg("ce").net
    _finish(store)


def _happen(store: Store, action: str, which: int, number: int) -> None:
    live = [intent for intent in store.intents.values() if intent.is_live]
    if action == "exit":
        signal = portfolio_signal(SignalKind.EXIT, "ALL", reason="stop")
        store.write(decide(logged(signal, number), store.seen(), RULES), number)
    elif action == "again":
        store.advance(60)
        if (again := continue_exits(store.seen(), RULES)) is not None:
            store.write(again)
    elif live:
        intent = live[which % len(live)]
        before = store.intents.get(intent.after) if intent.after else None
        ready = before is None or before.state is IntentState.FILLED
        if action == "claim" and intent.state is IntentState.NEW and ready:
            store.claim(intent)
        elif intent.state is not IntentState.NEW:
            _say(store, action, intent.client_order_id)


def _say(store: Store, action: str, name: str) -> None:
    intent = next(i for i in store.intents.values() if i.client_order_id == name)
    part = min(intent.filled_quantity + 5, intent.order.quantity)
    words = {
        "fill": filled(intent, intent.order.quantity),
        "part": filled(intent, part),
        "cancel": report(intent, OrderStatus.CANCELLED, quantity=intent.filled_quantity),
        "reject": NotPlaced(code="400", message="no"),
        "lose": Unknown(detail="time-out"),
        "absent": Absent(conclusive=True, detail="not found"),
        "unsent": NotSent(detail="late"),
    }
    if action in words:
        word = words[action]
        store.tell(Told(client_order_id=intent.client_order_id, attempt=intent.attempt, word=word))


def _finish(store: Store) -> None:
    """Whatever state it is in, an exit brings it to a flat end when the broker obeys."""
    signal = portfolio_signal(SignalKind.EXIT, "ALL", reason="end")
    store.write(decide(logged(signal, 99), store.seen(), RULES), 99)
    for _ in range(12):
        for intent in tuple(store.intents.values()):
            now = store.intents[intent.client_order_id]
            before = store.intents.get(now.after) if now.after else None
            if now.state is IntentState.NEW and (
                before is None or before.state is IntentState.FILLED
            ):
                store.claim(now)
            if store.intents[intent.client_order_id].state not in {*FINAL, IntentState.NEW}:
                store.fill(now)
        store.advance(60)
        if (again := continue_exits(store.seen(), RULES)) is not None:
            store.write(again)
    position = next(iter(store.positions.values()))
    assert position.status is PositionStatus.CLOSED
    assert position.is_flat
    assert position.realised == sum(
        (leg.sold_value - leg.bought_value) * leg.multiplier for leg in position.legs
    )
    store.check()


def test_unsettled_orders_go_to_a_person() -> None:
    store = Store(situation())
    entry = portfolio_signal(SignalKind.BASE_ENTRY)
    call = store.write(decide(logged(entry), store.seen(), RULES), 1).intents[0]
    store.claim(call)
    settled = store.tell(
        Told(client_order_id=call.client_order_id, attempt=1, word=Unsettled(detail="two alike"))
    )
    assert "only a person" in settled.alarms[0]
