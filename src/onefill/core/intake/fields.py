"""Reads the fields of one alert, and gathers all that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.intake.problem import Problem, shown
from onefill.core.money import ZERO

LONGEST_TEXT = 256
LONGEST_NUMBER = 40
MAGNITUDE_MAX = 15
MAGNITUDE_MIN = -30
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Which numbers a field takes, as a test and in words."""

    takes: Callable[[Decimal], bool]
    words: str


ABOVE_ZERO = Range(lambda value: value > ZERO, "a number above 0, such as 52000.5")
NOT_NEGATIVE = Range(lambda value: value >= ZERO, "a number of 0 or more, such as 350.25")
ZERO_TO_ONE = Range(lambda value: ZERO <= value <= 1, "a number from 0 to 1, such as 0.82")
ANY_NUMBER = Range(lambda value: True, "a number, such as -1.25")
WHOLE = Range(
    lambda value: ZERO <= value <= 1_000_000 and value == value.to_integral_value(),
    "a whole number from 0 to 1000000, such as 3",
)


class Fields:
    """The fields of one body. Each reader answers None for what is absent or faulty.

    Numbers may be quoted, because TradingView's placeholders often are.
    """

    __slots__ = ("_values", "problems")

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.problems: list[Problem] = []

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def raw(self, name: str) -> object:
        """The field as JSON had it; None where it is absent or null."""
        return self._values.get(name)

    def refuse(self, name: str, problem: str) -> None:
        """Note what is wrong with a field."""
        value = self._values.get(name)
        if isinstance(value, str) and "{{" in value:
            problem = "is a placeholder that was not filled in; check its spelling in the alert"
        got = shown(value) if name in self._values else "nothing"
        self.problems.append(Problem(name, problem, got))

    def number(self, name: str, range_: Range, *, required: bool = False) -> Decimal | None:
        """A finite number within the range."""
        value = self._values.get(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; write {range_.words}")
            return None
        if isinstance(value, str) and len(value) <= LONGEST_NUMBER and _NUMBER.fullmatch(value):
            value = Decimal(value)
        if isinstance(value, Decimal) and _is_bounded(value) and range_.takes(value):
            return value
        self.refuse(name, f"must be {range_.words}")
        return None

    def text(self, name: str, words: str, *, required: bool = False) -> str | None:
        """A printable text; an empty one counts as absent. words: what to write."""
        value = self._values.get(name)
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "":
            if required:
                self.refuse(name, f"is missing; write {words}")
            return None
        if isinstance(value, str) and _is_printable(value):
            return value
        self.refuse(name, f"must be {words}, at most {LONGEST_TEXT} printable characters")
        return None

    def matching(
        self, name: str, pattern: re.Pattern[str], words: str, *, required: bool = False
    ) -> str | None:
        """A text of this pattern."""
        value = self.text(name, words, required=required)
        if value is None or pattern.fullmatch(value):
            return value
        self.refuse(name, f"must be {words}")
        return None

    def word(self, name: str, choices: Mapping[str, str], *, required: bool = False) -> str | None:
        """One of a few words in any case, by its small letters; answers what it stands for."""
        value = self._values.get(name)
        if value is None and not required:
            return None
        if isinstance(value, str):
            choice = choices.get(value.strip().lower())
            if choice is not None:
                return choice
        fault = "is missing; write" if value is None else "must be"
        self.refuse(name, f"{fault} one of {', '.join(dict.fromkeys(choices.values()))}")
        return None

    def flag(self, name: str) -> bool:
        """true or false; false where it is absent."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(name, "must be true or false, without quotes")
        return False


def _is_printable(value: str) -> bool:
    return len(value) <= LONGEST_TEXT and value.isprintable() and "{{" not in value


def _is_bounded(value: Decimal) -> bool:
    return MAGNITUDE_MIN <= value.adjusted() <= MAGNITUDE_MAX and len(str(value)) <= LONGEST_NUMBER
