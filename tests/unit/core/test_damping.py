"""How much longer a lease lasts after wrong suspicions."""

from __future__ import annotations

import pytest

from onefill.core.control.damping import lease_factor, stretched
from onefill.core.control.lease import LeaseTiming


@pytest.mark.req("CTL-4")
@pytest.mark.parametrize(
    ("wrong", "factor"), [(0, 1), (2, 1), (3, 2), (5, 2), (6, 4), (9, 4), (100, 4)]
)
def test_each_third_wrong_takeover_doubles_the_lease_to_four_times_at_most(
    wrong: int, factor: int
) -> None:
    assert lease_factor(wrong) == factor


@pytest.mark.req("CTL-4", "CTL-3")
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_stretched_lease_is_given_up_later_and_still_before_it_ends(factor: int) -> None:
    usual = LeaseTiming()
    longer = stretched(usual, factor)
    assert (longer.ttl_ms, longer.give_up_ms) == (1200 * factor, 800 * factor)
    assert longer.renew_every_ms == usual.renew_every_ms
