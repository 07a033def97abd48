"""How figures are judged; the measuring itself is no test."""

from __future__ import annotations

import pytest

from figures import Limits, Row, middle, percentile

SECONDS = Limits(floor=3, goal=2, moonshot=0.7)
RATIO = Limits(floor=0.5, goal=1.0, moonshot=1.8)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value


def test_a_percentile_of_few_values_is_one_of_them_and_never_below_its_share() -> None:
    assert percentile([1.0, 9.0], 50) == 1.0
    assert percentile([1.0, 9.0], 51) == 9.0
    assert percentile([4.0], 99) == 4.0


def test_nothing_measured_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_one_disturbed_round_does_not_move_the_middle() -> None:
    assert middle([10.0, 11.0, 900.0]) == 11.0


@pytest.mark.parametrize(
    ("limits", "figure", "verdict"),
    [
        (SECONDS, 3.01, "below"),
        (SECONDS, 3.0, "floor"),
        (SECONDS, 2.0, "goal"),
        (SECONDS, 0.7, "moonshot"),
        (RATIO, 0.49, "below"),
        (RATIO, 0.5, "floor"),
        (RATIO, 1.0, "goal"),
        (RATIO, 1.8, "moonshot"),
    ],
)
def test_a_verdict_names_the_best_limit_that_is_kept(
    limits: Limits, figure: float, verdict: str
) -> None:
    assert limits.verdict(figure) == verdict


def test_a_row_is_judged_by_its_ratio_where_the_requirement_is_one() -> None:
    row = Row("P-1", "webhooks", 9_000.0, "/s", RATIO, 0.6, "pgbench", judges_ratio=True)
    assert row.verdict == "floor"
    assert Row("P-1", "webhooks", 9_000.0, "/s", RATIO, judges_ratio=True).verdict == "below"
    assert Row("", "pgbench", 15_000.0, "/s").verdict == ""
