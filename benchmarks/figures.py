"""Figures and how they are judged: percentiles, medians, limits, the table. No measuring here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of them do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values, so no percentile")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


@dataclass(frozen=True)
class Limits:
    """What must hold, the bar, and the aim. Where less is better the floor is the largest."""

    floor: float
    goal: float
    moonshot: float

    @property
    def less_is_better(self) -> bool:
        """Whether they fall from the floor to the moonshot."""
        return self.floor > self.moonshot

    def verdict(self, figure: float) -> str:
        """The best of them that the figure keeps, or `below`."""
        named = (("moonshot", self.moonshot), ("goal", self.goal), ("floor", self.floor))
        for name, limit in named:
            if figure <= limit if self.less_is_better else figure >= limit:
                return name
        return "below"


@dataclass(frozen=True)
class Row:
    """One measured figure. ratio: to what `against` names, in the same run."""

    requirement: str
    work: str
    figure: float
    unit: str
    limits: Limits | None = None
    ratio: float | None = None
    against: str = ""
    judges_ratio: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """How it stands to its limits; empty where there are none."""
        if self.limits is None:
            return ""
        judged = self.ratio if self.judges_ratio else self.figure
        return "below" if judged is None else self.limits.verdict(judged)


def middle(values: Sequence[float]) -> float:
    """The median of several rounds, which one disturbed round can't move far."""
    return float(median(values))


def shown(value: float) -> str:
    """Three digits that matter, and no more than the figure is worth."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


_COLOURS = {"below": "bold red", "floor": "yellow", "goal": "green", "moonshot": "bold green"}


def print_table(rows: Sequence[Row], console: Console) -> None:
    """All figures with their limits; PASS says which limit they reached."""
    table = Table(title="onefill's speed, in one run")
    for name in ("id", "work"):
        table.add_column(name)
    for name in ("figure", "ratio", "floor", "goal", "moonshot"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


def _cells(row: Row) -> tuple[str, ...]:
    limits = row.limits
    bars = ("", "", "") if limits is None else (limits.floor, limits.goal, limits.moonshot)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} × {row.against}"
    verdict = row.verdict
    words = {"": row.note, "below": "below the floor"}.get(verdict, f"PASS ({verdict})")
    colour = _COLOURS.get(verdict)
    return (
        row.requirement,
        row.work,
        f"{shown(row.figure)} {row.unit}",
        ratio,
        *(f"{bar:g}" if isinstance(bar, float | int) else bar for bar in bars),
        f"[{colour}]{words}[/]" if colour else words,
    )
