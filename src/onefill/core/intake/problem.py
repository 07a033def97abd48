"""What is wrong with an alert, said so that its sender can mend it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

LONGEST_SHOWN = 64
WHOLE_BODY = "body"
"""The `field` of a problem that concerns the whole body."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one field. problem: what to write instead. got: what stood there, shortened."""

    field: str
    problem: str
    got: str


def shown(value: object) -> str:
    """A value as a problem shows it: short, printable, and never a whole structure."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return _short(str(value))
        case str():
            return _short(ascii(value))
        case list():
            return "a list"
        case _:
            return "an object"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
