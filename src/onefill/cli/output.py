"""How commands speak: tables and colours to people, JSON to machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
Cell = Callable[[Row], str]

_PIPE_COLUMNS = 200

STYLES: Mapping[str, str] = {
    "executed": "green",
    "FILLED": "green",
    "open": "green",
    "ACTIVE": "green",
    "OK": "green",
    "executing": "cyan",
    "decided": "cyan",
    "received": "cyan",
    "pending": "cyan",
    "closing": "cyan",
    "SENDING": "cyan",
    "ACKED": "cyan",
    "PARTIALLY_FILLED": "cyan",
    "ignored": "dim",
    "duplicate": "dim",
    "closed": "dim",
    "STANDBY": "blue",
    "blocked": "yellow",
    "expired": "yellow",
    "partial": "yellow",
    "EXPIRED": "yellow",
    "CANCELLED": "yellow",
    "WARN": "yellow",
    "rejected": "red",
    "failed": "red",
    "REJECTED": "red",
    "FAIL": "red",
    "in_doubt": "bold red",
    "IN_DOUBT": "bold red",
    "QUARANTINED": "bold red",
    "crashed": "bold red",
}
"""One colour for one meaning, everywhere."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, and how a row's cell is written. wraps: it may take several lines."""

    head: str
    cell: Callable[[Row], str]
    right: bool = False
    wraps: bool = False


@cache
def console() -> Console:
    """Where results go."""
    from rich.console import Console

    # A pipe has no width; a table that is cut to 80 columns there loses what was asked for.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_COLUMNS
    return Console(soft_wrap=False, highlight=False, width=width)


@cache
def errors() -> Console:
    """Where complaints and progress go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """For machines: one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    """A table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        justify = "right" if column.right else "left"
        made.add_column(
            column.head,
            justify=justify,  # type: ignore[arg-type]
            overflow="fold",
            no_wrap=not column.wraps,
        )
    for row in rows:
        made.add_row(*(column.cell(row) for column in columns))
    return made


def text(name: str) -> Callable[[Row], str]:
    """A cell with a field as it is."""
    return lambda row: escaped(row.get(name))


def state(name: str) -> Callable[[Row], str]:
    """A cell with a status in its colour."""
    return lambda row: coloured(str(row.get(name) or ""))


def money(name: str) -> Callable[[Row], str]:
    """A cell with a number, grouped by thousands."""
    return lambda row: grouped(row.get(name))


def quantity(name: str) -> Callable[[Row], str]:
    """A cell with a quantity, with the small fractions that crypto trades in."""
    return lambda row: grouped(row.get(name), places=8)


def moment(name: str) -> Callable[[Row], str]:
    """A cell with a time, to the second, in UTC."""
    return lambda row: clock_time(row.get(name))


def coloured(status: str) -> str:
    """A status word in its colour."""
    style = STYLES.get(status)
    return f"[{style}]{status}[/]" if style else escaped(status)


def escaped(value: object) -> str:
    """A value as text in which square brackets mean nothing."""
    from rich.markup import escape

    return "" if value is None else escape(str(value))


def grouped(value: object, places: int = 2) -> str:
    """A number by thousands with at most so many places; what is no number stays as it is."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return "" if value is None else str(value)
    whole = f"{number:,.{places}f}"
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def clock_time(value: object) -> str:
    """A time as `01-15 09:15:00`, in UTC as everywhere in onefill."""
    try:
        return f"{datetime.fromisoformat(str(value)):%m-%d %H:%M:%S}"
    except ValueError:
        return "" if value is None else str(value)


def badge(live: bool) -> str:
    """LIVE or PAPER, so that nobody mistakes one for the other (ORD-14)."""
    return "[bold white on red] LIVE [/]" if live else "[bold black on green] PAPER [/]"
