"""How much longer a lease lasts where living leaders were taken for dead. Source: CTL-4."""

from __future__ import annotations

from dataclasses import replace

from onefill.core.control.lease import LeaseTiming

WRONG_IN_A_ROW = 3
"""So many wrong takeovers within the window double the time once."""
FACTOR_MAX = 4
WINDOW_S = 3_600
"""A wrong takeover is forgotten after an hour: so the lease shortens again by itself."""


def lease_factor(wrong_takeovers: int) -> int:
    """1, 2 or 4, by how many takeovers of the last WINDOW_S hit a holder that was alive.

    Takeovers by hand, and those of holders that never spoke again, are not to be counted.
    """
    doublings = wrong_takeovers // WRONG_IN_A_ROW
    return min(FACTOR_MAX, 1 << doublings)


def stretched(timing: LeaseTiming, factor: int) -> LeaseTiming:
    """The same, but lasting so many times as long; renewed as often, so more renewals may fail."""
    return replace(timing, ttl_ms=timing.ttl_ms * factor, give_up_ms=timing.give_up_ms * factor)
