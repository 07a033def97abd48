"""Bulk statements from one list of columns, so that names, types and values can't come apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a row: its name, its SQL type, and where its value comes from."""

    name: str
    kind: str
    value: Callable[[T], Any]


@dataclass(frozen=True, slots=True)
class Columns(Generic[T]):
    """The columns that a bulk statement writes, as one array for each."""

    all: tuple[Column[T], ...]

    @property
    def names(self) -> str:
        """`a, b, c`."""
        return ", ".join(column.name for column in self.all)

    def unnest(self, first: int = 1, alias: str = "row") -> str:
        """`unnest($1::text[], $2::numeric[]) AS row(a, b)`, counting parameters from `first`."""
        arrays = (f"${n}::{column.kind}[]" for n, column in enumerate(self.all, first))
        return f"unnest({', '.join(arrays)}) AS {alias}({self.names})"

    def assignments(self, source: str, *keys: str) -> str:
        """`b = source.b, …` for all columns but the keys."""
        named = (column.name for column in self.all if column.name not in keys)
        return ", ".join(f"{name} = {source}.{name}" for name in named)

    def arrays(self, rows: Sequence[T]) -> list[list[Any]]:
        """The rows' values, one list for each column."""
        return [[column.value(row) for row in rows] for column in self.all]

    def __len__(self) -> int:
        return len(self.all)
