"""The holder's side of the lease: when it may act, and when it must stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.control.lease import (
    Event,
    Failed,
    Following,
    Granted,
    Leading,
    LeaseTiming,
    Look,
    Lost,
    Refused,
    Renew,
    Renewed,
    Seen,
    StartLeading,
    State,
    StopLeading,
    Take,
    Tick,
    step,
)
from onefill.core.errors import Bug
from onefill.core.ids import Epoch

TIMING = LeaseTiming()


def test_a_follower_looks_and_takes_what_can_be_had() -> None:
    state, actions = step(Following(0), Tick(), 10, TIMING)
    assert actions == (Look(),)
    _, actions = step(state, Seen(Epoch(7), True, 0), 11, TIMING)
    assert actions == (Take(Epoch(7)),)


def test_a_follower_leaves_a_living_holder_alone() -> None:
    state, actions = step(Following(0), Seen(Epoch(7), False, 900), 10, TIMING)
    assert actions == ()
    assert state == Following(10 + TIMING.renew_every_ms)


@pytest.mark.req("CTL-3")
def test_trust_counts_from_before_the_request_was_sent() -> None:
    state, actions = step(Following(0), Granted(Epoch(8), asked_at_ms=100), 150, TIMING)
    assert actions == (StartLeading(Epoch(8)),)
    assert isinstance(state, Leading)
    assert state.until_ms == 100 + TIMING.give_up_ms


@pytest.mark.req("CTL-3")
def test_a_grant_that_took_too_long_is_worth_nothing() -> None:
    state, actions = step(Following(0), Granted(Epoch(8), asked_at_ms=100), 5000, TIMING)
    assert isinstance(state, Following)
    assert actions == ()


@pytest.mark.req("CTL-3")
def test_a_renewal_that_matches_no_row_ends_the_term_at_once() -> None:
    leading = Leading(Epoch(8), until_ms=900, renew_at_ms=300)
    state, actions = step(leading, Lost(), 310, TIMING)
    assert isinstance(state, Following)
    assert actions == (StopLeading(Epoch(8), "fenced"),)


@pytest.mark.req("CTL-3")
def test_past_its_deadline_a_holder_stops_whatever_it_hears() -> None:
    leading = Leading(Epoch(8), until_ms=900, renew_at_ms=300)
    for event in (Tick(), Renewed(asked_at_ms=400), Failed()):
        state, actions = step(leading, event, 900, TIMING)
        assert isinstance(state, Following)
        assert actions == (StopLeading(Epoch(8), "deadline"),)


def test_a_failed_renewal_is_tried_again_soon() -> None:
    leading = Leading(Epoch(8), until_ms=900, renew_at_ms=300)
    state, _ = step(leading, Failed(), 500, TIMING)
    assert isinstance(state, Leading)
    assert state.until_ms == 900
    assert 500 < state.renew_at_ms < 700


@pytest.mark.req("CTL-4")
def test_timings_that_cannot_work_are_refused() -> None:
    with pytest.raises(Bug, match="fits in ttl"):
        LeaseTiming(ttl_ms=500, renew_every_ms=250, call_timeout_ms=200)


def event_at(now_ms: float) -> st.SearchStrategy[Event]:
    asked = st.floats(min_value=max(0, now_ms - 2000), max_value=now_ms)
    return st.one_of(
        st.just(Tick()),
        st.just(Failed()),
        st.just(Refused()),
        st.just(Lost()),
        st.builds(Granted, st.just(Epoch(3)), asked),
        st.builds(Renewed, asked),
        st.builds(Seen, st.just(Epoch(2)), st.booleans(), st.floats(0, 2000)),
    )


@pytest.mark.req("CTL-3")
@given(st.data())
def test_no_history_of_events_leaves_a_holder_leading_past_its_last_ask(
    data: st.DataObject,
) -> None:
    """Whatever happens in whatever order: leading implies an ask younger than give_up_ms."""
    state: State = Following()
    now_ms, last_ask_ms, started = 0.0, float("-inf"), 0
    for _ in range(data.draw(st.integers(1, 30))):
        now_ms += data.draw(st.floats(0, 500))
        event = data.draw(event_at(now_ms))
        if isinstance(event, Granted | Renewed):
            last_ask_ms = max(last_ask_ms, event.asked_at_ms)
        state, actions = step(state, event, now_ms, TIMING)
        started += sum(isinstance(action, StartLeading) for action in actions)
        started -= sum(isinstance(action, StopLeading) for action in actions)
        assert started == isinstance(state, Leading)
        if isinstance(state, Leading):
            assert state.until_ms <= last_ask_ms + TIMING.give_up_ms
            assert not any(isinstance(action, Renew) for action in actions) or (
                now_ms < state.until_ms
            )
