"""What became of each replayed signal, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onefill.cli.delivery import Delivered
from onefill.cli.replaying.step import Step


@dataclass(slots=True)
class Tally:
    """Counts by kind, status and reason; and of orders by state."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def add(self, step: Step, end: Delivered) -> None:
        """Count one signal that has come to its end."""
        self.outcomes[(step.kind, end.status, end.reason or "")] += 1
        self.duplicates += end.duplicate
        self.orders.update(str(order["state"]) for order in _orders(end.story))

    def refuse(self, step: Step, reason: str) -> None:
        """Count one signal that was not taken in."""
        self.outcomes[(step.kind, "invalid", reason)] += 1

    @property
    def total(self) -> int:
        """How many signals were counted."""
        return self.outcomes.total()

    def as_rows(self) -> list[dict[str, object]]:
        """The outcomes, most frequent first in each kind."""
        ordered = sorted(self.outcomes.items(), key=lambda item: (item[0][0], -item[1], item[0]))
        return [
            {"kind": kind, "status": status, "reason": reason, "count": count}
            for (kind, status, reason), count in ordered
        ]


def _orders(story: Mapping[str, Any] | None) -> Iterable[Mapping[str, Any]]:
    """The orders of a signal's story; each may come with its attempts around it."""
    for order in (story or {}).get("orders") or ():
        yield order.get("order", order)
