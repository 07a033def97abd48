"""Who may take a lease that can be had, and when. Safety never rests on this: the fence does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEVER_MS = math.inf
FIRST_COMER_WAITS_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heir:
    """An instance that might lead.

    preferred: `active_by_default`. automatic: `may_succeed = "auto"`. has_released: a person made
    it give up control, and it has not led since. may_send: whether brokers take orders from it
    (ORD-16).
    """

    instance: str
    preferred: bool = False
    automatic: bool = True
    has_released: bool = False
    may_send: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacancy:
    """A lease that can be had.

    has_died: its holder did not give it up; it died, or stopped renewing. was_mine: its holder is
    an earlier boot of this instance. others: how many other instances live that could lead (None:
    not known); able: how many of them may send. up_for_ms: for how long this instance
    has been looking.
    """

    has_died: bool
    was_mine: bool
    others: int | None
    able: int = 0
    up_for_ms: float


def wait_ms(me: Heir, vacancy: Vacancy, first_comer_ms: float = FIRST_COMER_WAITS_MS) -> float:
    """How long this instance must wait before it takes the lease; NEVER_MS: until it is asked.

    Source: CTL-14 (who released), CTL-15 (start), CTL-16 (failover).
    """
    if not me.automatic:
        return NEVER_MS
    if not me.may_send and vacancy.able > 0:
        return NEVER_MS
    if me.has_released and not (vacancy.has_died and vacancy.others == 0):
        return NEVER_MS
    if me.preferred or vacancy.has_died or vacancy.was_mine:
        return 0
    return max(0.0, first_comer_ms - vacancy.up_for_ms)


def best_successor(candidates: Sequence[Heir]) -> Heir | None:
    """To whom control is released: of those that may send the preferred, else who may act by
    itself, else by name."""
    return min(
        candidates,
        key=lambda one: (not one.may_send, not one.preferred, not one.automatic, one.instance),
        default=None,
    )
