"""Lists, page by page: conditions, cursors, and one row too many to see whether more follow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from onefill.ports.views import InvalidCursor, Page, Window

T = TypeVar("T")
_SEPARATOR = "~"
_LARGEST_ID = 2**63 - 1


class Where:
    """Conditions joined by AND, with their arguments; written into a query as `WHERE …`.

    Built for each request, not `$1 IS NULL OR …`: so each list gets the plan of its filters.
    """

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.arguments: list[object] = []

    def add(self, condition: str, *arguments: object) -> None:
        """Add a condition with `{}` for each argument; none when an argument is None."""
        if None in arguments:
            return
        first = len(self.arguments) + 1
        numbers = (f"${number}" for number in range(first, first + len(arguments)))
        self._conditions.append(condition.format(*numbers))
        self.arguments.extend(arguments)

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self._conditions)}" if self._conditions else ""


def id_cursor(cursor: str | None) -> int | None:
    """The row number in a cursor. Raises InvalidCursor."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and int(cursor[:20]) <= _LARGEST_ID):
        raise InvalidCursor()
    return int(cursor[:20])


def time_cursor(cursor: str | None) -> tuple[datetime | None, str | None]:
    """The time and the id in a cursor. Raises InvalidCursor."""
    if cursor is None:
        return None, None
    time, separator, row_id = cursor.partition(_SEPARATOR)
    try:
        at = datetime.fromisoformat(time)
        is_utc = at.utcoffset() == timedelta(0)
    except ValueError as error:
        raise InvalidCursor() from error
    if not (separator and is_utc and row_id.isprintable()):
        raise InvalidCursor()
    return at, row_id


def cursor_at(at: datetime, row_id: str) -> str:
    """The cursor of a row in a list by time, then id."""
    return f"{at.isoformat().replace('+00:00', 'Z')}{_SEPARATOR}{row_id}"


def page_of(rows: Sequence[T], window: Window, cursor_of: Callable[[T], str]) -> Page[T]:
    """The page, given up to one row more than its limit."""
    shown = tuple(rows[: window.limit])
    more = len(rows) > window.limit
    return Page(items=shown, next_cursor=cursor_of(shown[-1]) if more else None)


async def newest(connection: Any, select: str, where: Where, order: str, window: Window) -> Any:
    """Run a list's query; answers up to one record more than the window's limit."""
    query = f"{select} {where} ORDER BY {order} LIMIT {window.limit + 1:d}"
    return await connection.fetch(query, *where.arguments)


def read_json(text: str | None) -> Any:
    """A stored JSON text; its decimals are kept exactly."""
    return json.loads(text, parse_float=Decimal) if text else None
