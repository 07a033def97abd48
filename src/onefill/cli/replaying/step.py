"""What both kinds of recordings are read into, and the order in which it is replayed."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from onefill.cli.errors import Usage


class Place(enum.IntEnum):
    """What goes first among signals of one moment."""

    EXIT = 0
    ENTRY = 1
    PYRAMID = 2
    EXIT_OF_SAME_MOMENT = 3  # of an entry of that very moment: it can't come before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One signal to replay: when it was, its price in points, and its body without secret."""

    at: datetime
    place: Place
    price: Decimal | None
    body: Mapping[str, object]

    @property
    def at_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.at.timestamp() * 1000)

    @property
    def kind(self) -> str:
        """BASE_ENTRY, EXIT, buy … for the summary."""
        return str(self.body.get("type") or self.body.get("action") or "?")


class Unreadable(Usage):
    """This is no recording that can be replayed."""

    remedy = "Export the strategy tester's “List of trades” as CSV, or write JSON lines."


def in_order(steps: Iterable[Step]) -> list[Step]:
    """The steps by time; of one moment exits first, then entries, then pyramids, else as given."""
    return sorted(steps, key=lambda step: (step.at, step.place))
