"""Leverage, margin mode and position mode, set and checked at the real paper venue."""

from __future__ import annotations

import contextlib
import hmac
import urllib.error
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from broker_support import PaperVenue, intent_for, paper_venues
from onefill.brokers.accounts import BinanceAccount, SymbolTerms
from onefill.brokers.binance import BinanceBroker
from onefill.core.errors import BrokerUnavailable
from onefill.core.report import Placed
from onefill.ports.clock import RealClock

__all__ = ["paper_venues"]


@pytest.fixture
def venue(paper_venues: Callable[[str], PaperVenue]) -> PaperVenue:
    return paper_venues("B")


@contextlib.asynccontextmanager
async def started(venue: PaperVenue, **symbols: SymbolTerms) -> AsyncIterator[BinanceBroker]:
    broker = BinanceBroker(BinanceAccount(base_url=venue.url, symbols=symbols), RealClock())
    try:
        await broker.start()
        yield broker
    finally:
        await broker.close()


def signed(venue: PaperVenue, method: str, path: str, **params: object) -> Any:
    """What the venue answers to a customer of its own making."""
    now = venue.call("GET", "/fapi/v1/time")["serverTime"]
    query = urlencode({**params, "timestamp": now})
    signature = hmac.digest(b"paper", query.encode(), "sha256").hex()
    return venue.call(method, f"{path}?{query}&signature={signature}")


def terms_of(venue: PaperVenue, symbol: str) -> tuple[str, str]:
    (row,) = signed(venue, "GET", "/fapi/v2/positionRisk", symbol=symbol)
    return row["leverage"], row["marginType"]


@pytest.mark.req("ORD-12")
async def test_terms_are_set_at_a_start_and_again_is_as_good(venue: PaperVenue) -> None:
    wanted = SymbolTerms(leverage=7, margin="ISOLATED")
    before = terms_of(venue, "SIM052")
    for _ in range(2):
        async with started(venue, SIM051=wanted):
            assert terms_of(venue, "SIM051") == ("7", "isolated")
    assert terms_of(venue, "SIM052") == before


@pytest.mark.req("ORD-12")
async def test_terms_that_are_not_named_stay_as_they_are(venue: PaperVenue) -> None:
    async with started(venue, SIM053=SymbolTerms(leverage=3)):
        assert terms_of(venue, "SIM053") == ("3", "cross")


@pytest.mark.req("ORD-12")
async def test_a_margin_mode_that_is_occupied_stops_the_start_with_the_way_out(
    venue: PaperVenue,
) -> None:
    async with started(venue) as broker:
        outcome = await broker.send(await broker.prepare(intent_for("binance", symbol="SIM054")))
        assert isinstance(outcome, Placed)
    with pytest.raises(BrokerUnavailable) as refused:
        async with started(venue, SIM054=SymbolTerms(margin="ISOLATED")):
            pass
    assert "-4048" in str(refused.value)
    assert "Close the symbol's position" in refused.value.remedy


@pytest.mark.req("ORD-12")
async def test_hedge_mode_is_told_with_the_way_out_and_takes_no_orders(tmp_path: Path) -> None:
    venue = PaperVenue(tmp_path, "B")
    try:
        mode = "/fapi/v1/positionSide/dual"
        signed(venue, "POST", mode, dualSidePosition="true")
        with pytest.raises(urllib.error.HTTPError) as unchanged:
            signed(venue, "POST", mode, dualSidePosition="true")
        assert b"-4059" in unchanged.value.read()
        with pytest.raises(BrokerUnavailable, match="hedge mode") as refused:
            async with started(venue):
                pass
        assert "one-way mode" in refused.value.remedy
        wish = {"symbol": "SIM001", "side": "BUY", "type": "MARKET", "quantity": 1}
        with pytest.raises(urllib.error.HTTPError) as no_order:
            signed(venue, "POST", "/fapi/v1/order", **wish)
        assert b"-4061" in no_order.value.read()
        signed(venue, "POST", mode, dualSidePosition="false")
        async with started(venue) as broker:
            assert await broker.positions() == {}
    finally:
        venue.close()
