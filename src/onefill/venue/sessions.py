"""Which exchanges are closed now, as people say; nobody's clock closes them."""

from __future__ import annotations


class Sessions:
    """All exchanges trade, unless they were closed. turned_away: orders, and changes of them,
    that came while their exchange was closed."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.turned_away = 0

    def turns_away(self, exchange: str) -> bool:
        """Whether what comes for that exchange now is refused; it is counted."""
        is_closed = exchange in self.closed
        self.turned_away += is_closed
        return is_closed
