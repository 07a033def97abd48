"""The states of an instance, who may take control, and the steps of a takeover."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.control.handover import (
    HandoverTiming,
    Request,
    RequesterMove,
    Sight,
    holder_agrees,
    requester_move,
)
from onefill.core.control.states import ABLE, ControlEvent, InstanceState, events_of, next_state
from onefill.core.control.succession import NEVER_MS, Heir, Vacancy, best_successor, wait_ms
from onefill.core.errors import Bug
from onefill.core.ids import Epoch

TIMING = HandoverTiming()
EVENTS = st.lists(st.sampled_from(ControlEvent), max_size=30)
ELECTED, LOST = ControlEvent.ELECTED, ControlEvent.LOST


@pytest.mark.req("CTL-9")
@pytest.mark.parametrize("state", InstanceState)
def test_no_state_is_a_trap(state: InstanceState) -> None:
    assert events_of(state)


@pytest.mark.req("CTL-9")
@given(EVENTS)
def test_an_instance_is_active_only_between_an_election_and_the_loss(
    events: list[ControlEvent],
) -> None:
    state, elected = InstanceState.STANDBY, False
    for event in events:
        state = next_state(state, event)
        elected = (elected or event is ELECTED) and event is not LOST
        if state in ABLE:
            assert elected


@pytest.mark.req("CTL-9")
def test_a_pause_is_shown_only_by_who_is_able_to_act_and_ends_where_it_began() -> None:
    for state in InstanceState:
        paused = next_state(state, ControlEvent.PAUSED)
        assert paused is (InstanceState.PAUSED if state in ABLE else state)
        assert next_state(paused, ControlEvent.RESUMED) is (
            InstanceState.ACTIVE if state in ABLE else state
        )


@pytest.mark.req("CTL-10")
@pytest.mark.parametrize("state", InstanceState)
def test_only_who_could_act_protects_while_the_authority_is_away_and_ceases_when_it_is_seen(
    state: InstanceState,
) -> None:
    away = next_state(state, ControlEvent.AUTHORITY_AWAY)
    assert (away is InstanceState.PROTECT_ONLY) == (state in (*ABLE, InstanceState.PROTECT_ONLY))
    seen = next_state(away, ControlEvent.AUTHORITY_SEEN)
    assert seen is not InstanceState.PROTECT_ONLY
    assert (seen in ABLE) is False
    assert next_state(InstanceState.PROTECT_ONLY, ELECTED) is InstanceState.RECONCILING


@pytest.mark.req("CTL-8")
@given(EVENTS)
def test_a_lost_history_is_left_only_by_an_explanation(events: list[ControlEvent]) -> None:
    state = next_state(InstanceState.ACTIVE, ControlEvent.HISTORY_LOST)
    for event in events:
        state = next_state(state, event)
        if event is ControlEvent.EXPLAINED:
            return
        assert state is InstanceState.SAFE


def vacancy(
    *, has_died: bool = False, was_mine: bool = False, others: int | None = None, up_ms: float = 0
) -> Vacancy:
    """A lease that can be had."""
    return Vacancy(has_died=has_died, was_mine=was_mine, others=others, up_for_ms=up_ms)


@pytest.mark.req("CTL-15")
def test_at_a_start_the_preferred_goes_first_and_others_give_it_five_seconds() -> None:
    assert wait_ms(Heir(instance="prod", preferred=True), vacancy()) == 0
    assert wait_ms(Heir(instance="dev"), vacancy(up_ms=1_500)) == 3_500
    assert wait_ms(Heir(instance="dev"), vacancy(up_ms=5_000)) == 0


@pytest.mark.req("CTL-16")
def test_the_dead_are_succeeded_at_once_by_all_but_the_manual() -> None:
    assert wait_ms(Heir(instance="dev"), vacancy(has_died=True)) == 0
    manual = Heir(instance="dev", automatic=False)
    assert wait_ms(manual, vacancy(has_died=True, up_ms=60_000)) == NEVER_MS


@pytest.mark.req("CTL-14")
def test_who_released_waits_until_its_successor_died_and_nobody_else_is_there() -> None:
    released = Heir(instance="prod", preferred=True, has_released=True)
    assert wait_ms(released, vacancy(others=0)) == NEVER_MS
    assert wait_ms(released, vacancy(has_died=True, others=1)) == NEVER_MS
    assert wait_ms(released, vacancy(has_died=True, others=None)) == NEVER_MS
    assert wait_ms(released, vacancy(has_died=True, others=0)) == 0


@pytest.mark.req("CTL-14")
def test_control_is_released_to_the_preferred_then_to_who_may_act_by_itself() -> None:
    manual = Heir(instance="a", automatic=False)
    plain, preferred = Heir(instance="b"), Heir(instance="c", preferred=True)
    assert best_successor([manual, plain, preferred]) == preferred
    assert best_successor([manual, plain]) == plain
    assert best_successor([]) is None


@pytest.mark.req("ORD-16")
def test_who_may_not_send_leaves_control_to_whom_may_and_takes_it_when_there_is_none() -> None:
    unfit = Heir(instance="prod", preferred=True, may_send=False)
    able = replace(vacancy(has_died=True), others=2, able=1)
    assert wait_ms(unfit, able) == NEVER_MS
    assert wait_ms(unfit, replace(able, able=0)) == 0
    fit = Heir(instance="z", automatic=False)
    assert wait_ms(replace(fit, automatic=True), able) == 0
    assert best_successor([unfit, fit]) == fit


@pytest.mark.req("CTL-11", "CTL-13")
@pytest.mark.parametrize(
    ("sight", "waited_ms", "by_force", "move"),
    [
        (Sight(epoch=Epoch(8), is_mine=True, vacant=False), 0, False, RequesterMove.ADOPT),
        (Sight(epoch=Epoch(8), is_mine=False, vacant=True), 0, True, RequesterMove.YIELD),
        (Sight(epoch=Epoch(7), is_mine=False, vacant=True), 0, False, RequesterMove.TAKE),
        (Sight(epoch=Epoch(7), is_mine=False, vacant=False), 9_999, False, RequesterMove.WAIT),
        (Sight(epoch=Epoch(7), is_mine=False, vacant=False), 10_000, False, RequesterMove.FORCE),
        (Sight(epoch=Epoch(7), is_mine=False, vacant=False), 0, True, RequesterMove.FORCE),
    ],
)
def test_a_requester_moves_by_what_the_store_says(
    sight: Sight, waited_ms: float, by_force: bool, move: RequesterMove
) -> None:
    answer = requester_move(Epoch(7), sight, waited_ms=waited_ms, by_force=by_force, timing=TIMING)
    assert answer is move


@pytest.mark.req("CTL-11", "CTL-12")
def test_a_holder_drains_only_for_a_ready_fresh_request_of_its_own_epoch() -> None:
    good = Request(expected=Epoch(7), is_ready=True, has_ended=False, age_ms=100)
    assert holder_agrees(good, Epoch(7), TIMING)
    assert not holder_agrees(good, Epoch(8), TIMING)
    for bad in (
        Request(expected=Epoch(7), is_ready=False, has_ended=False, age_ms=100),
        Request(expected=Epoch(7), is_ready=True, has_ended=True, age_ms=100),
        Request(expected=Epoch(7), is_ready=True, has_ended=False, age_ms=5_000),
    ):
        assert not holder_agrees(bad, Epoch(7), TIMING)


def test_draining_must_end_before_forcing_begins() -> None:
    with pytest.raises(Bug):
        HandoverTiming(drain_ms=10_000, forced_after_ms=10_000)
