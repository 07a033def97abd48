"""What every adapter makes of the real paper venue's quotes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker_desk import Desk, desk, everywhere
from broker_support import OPTION, paper_venues
from onefill.core.errors import BrokerUnavailable
from onefill.core.quote import Listing

__all__ = ["desk", "paper_venues"]

FUTURE = Listing("GOLDM05JAN30FUT", "MCX")
LISTINGS = {
    "binance": [Listing("SIM001"), Listing("SIM002")],
    "openalgo": [FUTURE, Listing(OPTION, "NFO"), Listing("BANKNIFTY", "NSE_INDEX")],
}


@pytest.mark.req("PF-22")
@everywhere
async def test_bid_and_ask_lie_half_the_spread_around_the_last_price(desk: Desk) -> None:
    desk.venue.call("POST", "/settings", {"spread": "0.5"})
    listings = LISTINGS[desk.broker.name]
    quotes = await desk.broker.quotes(listings)
    assert set(quotes) == {listing.symbol for listing in listings}
    for quote in quotes.values():
        assert (quote.bid, quote.ask) == (
            quote.last - Decimal("0.25"),
            quote.last + Decimal("0.25"),
        )
        assert quote.mid == quote.last > 0
        assert quote.at.tzinfo is not None


@pytest.mark.req("PF-22")
@everywhere
async def test_one_symbol_is_quoted_like_many(desk: Desk) -> None:
    first, *_ = listings = LISTINGS[desk.broker.name]
    alone, among = await desk.broker.quotes([first]), await desk.broker.quotes(listings)
    assert alone[first.symbol].last == among[first.symbol].last
    assert await desk.broker.quotes([]) == {}


@pytest.mark.req("PF-22")
@everywhere
async def test_a_symbol_that_is_not_listed_is_left_out(desk: Desk) -> None:
    first, *_ = LISTINGS[desk.broker.name]
    unknown = Listing("NOSUCH", first.exchange)
    assert set(await desk.broker.quotes([unknown, first])) == {first.symbol}
    assert await desk.broker.quotes([unknown]) == {}


@pytest.mark.req("PF-22")
@pytest.mark.parametrize("desk", [("openalgo", "C")], indirect=True, ids="-".join)
async def test_a_call_and_a_put_quote_the_synthetic_future_to_the_point(desk: Desk) -> None:
    put = OPTION[:-2] + "PE"
    index = Listing("BANKNIFTY", "NSE_INDEX")
    quotes = await desk.broker.quotes([Listing(OPTION, "NFO"), Listing(put, "NFO"), index])
    strike = Decimal(60_000)
    assert strike + quotes[OPTION].mid - quotes[put].mid == quotes["BANKNIFTY"].mid


@pytest.mark.req("PF-22")
@everywhere
async def test_a_market_that_does_not_answer_is_said_to_be_away(desk: Desk) -> None:
    desk.venue.call("POST", "/faults", {"kind": "error_before", "match": {"kind": "market"}})
    with pytest.raises(BrokerUnavailable):
        await desk.broker.quotes(LISTINGS[desk.broker.name])
