"""Who goes first where a broker takes no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.orders.rates import CLOSED, RateWindow, Room, Urgency

TEN_SECONDS = RateWindow(most=300, window_ms=10_000)
MINUTE = RateWindow(most=1_200, window_ms=60_000)

OPENS, REDUCES = True, False


@pytest.mark.req("ORD-11")
def test_the_fullest_window_decides_and_a_tenth_is_kept_for_exits() -> None:
    assert Room.left([(TEN_SECONDS, 0), (MINUTE, 0)]) == Room(entries=270, exits=300)
    assert Room.left([(TEN_SECONDS, 280), (MINUTE, 0)]) == Room(entries=0, exits=20)
    assert Room.left([(TEN_SECONDS, 0), (MINUTE, 1_190)]) == Room(entries=0, exits=10)


@pytest.mark.req("ORD-11")
def test_exits_go_before_entries_that_are_older() -> None:
    room = Room(entries=2, exits=3)
    assert room.admitted([OPENS, OPENS, REDUCES]) == [True, False, True]
    assert room.admitted([OPENS, REDUCES, REDUCES, REDUCES]) == [False, True, True, True]
    assert CLOSED.admitted([OPENS, REDUCES]) == [False, False]


@pytest.mark.req("ORD-11")
@given(most=st.integers(1, 50), used=st.integers(0, 60), queue=st.lists(st.booleans()))
def test_no_queue_gets_more_than_the_window_holds(most: int, used: int, queue: list[bool]) -> None:
    window = RateWindow(most=most, window_ms=1_000)
    admitted = Room.left([(window, used)]).admitted(queue)
    sent = sum(admitted)
    assert sent + used <= most or not sent
    opened = sum(goes and opens for goes, opens in zip(admitted, queue, strict=True))
    assert opened + used <= window.for_entries or not opened


@pytest.mark.req("ORD-11")
def test_questions_leave_room_for_those_that_matter_more() -> None:
    weights = [MINUTE.for_questions(urgency) for urgency in sorted(Urgency)]
    assert weights == [840, 960, 1_080]
    assert RateWindow(most=1, window_ms=1_000).for_questions(Urgency.LATER) == 1
