"""Whether a store is still the one that it was, and as far."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from manual_clock import NOON
from onefill.core.control.authority import Landmark, LossKind, later, loss_of
from onefill.core.ids import Epoch

HERE = Landmark(identity="7/1/5/16384", position=1_000, epoch=Epoch(8), at=NOON)


@pytest.mark.req("CTL-8")
def test_a_store_that_is_as_far_or_further_lost_nothing() -> None:
    assert loss_of(HERE, HERE, None) is None
    further = replace(HERE, position=1_001, epoch=Epoch(9), at=NOON + timedelta(seconds=1))
    assert loss_of(HERE, further, None) is None


@pytest.mark.req("CTL-8")
def test_who_remembers_nothing_misses_nothing() -> None:
    assert loss_of(None, replace(HERE, epoch=Epoch(0)), None) is None


@pytest.mark.req("CTL-8")
@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"epoch": 0}, LossKind.EMPTY),
        ({"epoch": 0, "identity": "9/1/5/16384"}, LossKind.EMPTY),
        ({"identity": "7/2/5/16384", "position": 2_000}, LossKind.OTHER_IDENTITY),
        ({"identity": "9/1/5/16384"}, LossKind.OTHER_IDENTITY),
        ({"epoch": 7, "position": 2_000}, LossKind.LOWER_EPOCH),
        ({"position": 999}, LossKind.LOWER_POSITION),
    ],
)
def test_whatever_is_less_than_it_was_is_a_loss(changes: dict[str, object], kind: LossKind) -> None:
    loss = loss_of(HERE, replace(HERE, **changes), None)  # type: ignore[arg-type]
    assert loss is not None
    assert (loss.kind, loss.above, loss.is_news) == (kind, 8, True)


@pytest.mark.req("CTL-8")
def test_the_next_epoch_is_above_any_that_either_side_has_seen() -> None:
    loss = loss_of(HERE, replace(HERE, identity="other", epoch=Epoch(12)), None)
    assert loss is not None
    assert loss.above == 12


@pytest.mark.req("CTL-8")
@pytest.mark.parametrize(("seconds", "is_news"), [(-1, True), (0, True), (1, False)])
def test_a_loss_that_was_noticed_since_is_no_news(seconds: int, is_news: bool) -> None:
    noticed_at = NOON + timedelta(seconds=seconds)
    loss = loss_of(HERE, replace(HERE, position=0), noticed_at)
    assert loss is not None
    assert loss.is_news is is_news


@pytest.mark.req("CTL-8")
def test_sights_that_arrive_in_any_order_are_remembered_as_the_furthest() -> None:
    further = replace(HERE, position=1_001, at=NOON + timedelta(seconds=1))
    assert later(HERE, further) == later(further, HERE) == further
    assert later(None, HERE) == HERE
