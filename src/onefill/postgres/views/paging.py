"""Lists, page by page: conditions as they are asked for."""

from __future__ import annotations

from typing import Any

from onefill.ports.views import Window


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


async def newest(connection: Any, select: str, where: Where, order: str, window: Window) -> Any:
    """Run a list's query; answers up to one record more than the window's limit."""
    query = f"{select} {where} ORDER BY {order} LIMIT {window.limit + 1:d}"
    return await connection.fetch(query, *where.arguments)
