"""How many orders and questions a broker takes in a time, and who goes first. Source: ORD-11."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Urgency(enum.IntEnum):
    """Who waits for whom where not all can go."""

    LATER = 0  # looking again at what works as it should
    NORMAL = 1  # entries, comparisons
    FIRST = 2  # exits, stops, and orders in doubt

    @property
    def tenths(self) -> int:
        """The part of what questions may weigh that is open to it. The last tenth stays free:
        for what nobody asks before, as cancels are, and for requests that travel slowly."""
        return {Urgency.LATER: 7, Urgency.NORMAL: 8, Urgency.FIRST: 9}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """The most that a broker takes from one account in any time of this length."""

    most: int
    window_ms: int

    @property
    def for_entries(self) -> int:
        """What may open positions; the rest, a tenth, is kept for orders that reduce them."""
        return max(1, self.most - max(1, self.most // 10))

    def for_questions(self, urgency: Urgency) -> int:
        """What questions of that urgency may weigh together with all others."""
        return max(1, self.most * urgency.tenths // 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many more orders an account may send now: for entries, and for all others."""

    entries: int
    exits: int

    @classmethod
    def left(cls, used: Sequence[tuple[RateWindow, int]]) -> Room:
        """What is left when so much of each window is used; the fullest window decides."""
        return cls(
            entries=max(0, min(window.for_entries - count for window, count in used)),
            exits=max(0, min(window.most - count for window, count in used)),
        )

    def admitted(self, adds_exposure: Sequence[bool]) -> list[bool]:
        """Which of these orders there is room for: what reduces first, then in their order."""
        sent, verdicts = 0, [False] * len(adds_exposure)
        for opens in (False, True):
            most = self.entries if opens else self.exits
            for place, adds in enumerate(adds_exposure):
                if adds is opens and sent < most:
                    verdicts[place] = True
                    sent += 1
        return verdicts


CLOSED = Room(entries=0, exits=0)
"""An account that a broker told to wait."""
