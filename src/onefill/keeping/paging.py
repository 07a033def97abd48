"""Lists, page by page: cursors that name a row, and one row too many to see whether more follow."""

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


def read_json(text: str | None) -> Any:
    """A stored JSON text; its decimals are kept exactly."""
    return json.loads(text, parse_float=Decimal) if text else None
