"""What figures make a quote."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from onefill.core.quote import quote_of

AT = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)


def number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@pytest.mark.req("PF-22")
@pytest.mark.parametrize(
    ("bid", "ask", "last", "mid"),
    [
        ("99", "101", "95", "100"),
        ("0", "101", "95", "95"),  # brokers write 0 where nobody bids
        (None, None, "95", "95"),
        ("102", "101", "95", "95"),  # the sides of two moments are no book
        ("99", "101", "0", "100"),  # nothing was traded yet
    ],
)
def test_the_middle_of_a_book_or_else_the_last_trade_is_the_price(
    bid: str | None, ask: str | None, last: str | None, mid: str
) -> None:
    quote = quote_of(number(bid), number(ask), number(last), AT)
    assert quote is not None
    assert quote.mid == Decimal(mid)


@pytest.mark.req("PF-22")
@pytest.mark.parametrize(
    ("bid", "ask", "last"),
    [
        (None, None, None),
        ("0", "0", "0"),
        ("99", None, None),
        ("-1", "101", "95"),
        (None, None, "-5"),
    ],
)
def test_figures_without_a_price_make_no_quote(
    bid: str | None, ask: str | None, last: str | None
) -> None:
    assert quote_of(number(bid), number(ask), number(last), AT) is None
