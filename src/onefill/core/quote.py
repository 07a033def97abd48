"""What a market offers just now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol as a broker lists it; exchange: the market's code where the broker wants one."""

    symbol: str
    exchange: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The best prices, in points, as they stood at `at` or later (our wall clock).

    bid, ask: None where nobody offers one (an index, an empty book). last: of the latest trade.
    """

    bid: Decimal | None
    ask: Decimal | None
    last: Decimal
    at: datetime

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask; the last price where one of them is missing."""
        if self.bid is None or self.ask is None:
            return self.last
        return (self.bid + self.ask) / 2


def quote_of(
    bid: Decimal | None, ask: Decimal | None, last: Decimal | None, at: datetime
) -> Quote | None:
    """The quote that these figures make; None where they make none.

    Brokers write 0 for what is not there. A bid above the ask is no book: the two may come from
    two moments.
    """
    if any(figure is not None and figure < 0 for figure in (bid, ask, last)):
        return None
    bid, ask = bid or None, ask or None
    if bid is not None and ask is not None:
        last = last or (bid + ask) / 2
        bid, ask = (bid, ask) if bid <= ask else (None, None)
    return Quote(bid=bid, ask=ask, last=last, at=at) if last else None
