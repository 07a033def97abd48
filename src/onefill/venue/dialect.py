"""What every dialect has in common: routes that answer at once, or with work still to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from onefill.venue.engine import Circumstances
from onefill.venue.faults import FaultKind
from onefill.venue.wire import Reply, Request

Work = Callable[[Circumstances], Reply]
"""A checked request to place an order; calling it places the order."""
PLACE, MODIFY, CANCEL, QUERY, MARKET = "place", "modify", "cancel", "query", "market"
"""The kinds of request that faults are matched against."""


@dataclass(frozen=True, slots=True)
class Route:
    """One request of a dialect: its kind and who handles it."""

    kind: str
    handle: Callable[[Request], Reply | Work]


Routes = Mapping[tuple[str, str], Route]
"""By method and path."""


class Dialect(Protocol):
    """How the venue speaks to one kind of client."""

    @property
    def routes(self) -> Routes:
        """All requests that this dialect understands."""

    def facts(self, request: Request) -> dict[str, str]:
        """What a fault can be matched against, beside kind and path."""

    def fault_reply(self, kind: FaultKind) -> Reply:
        """What this broker says when it fails in this way."""
