"""What can be wrong with a configuration, told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onefill.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to do. Never holds a secret."""

    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}\n    {self.remedy}"


class InvalidConfiguration(ConfigurationError):
    """The configuration cannot work as written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(
            f"{head} in the configuration:\n" + "\n".join(f"  {each}" for each in self.problems)
        )
