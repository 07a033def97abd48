"""Leverage, margin mode and position mode, set and checked at the real paper venue."""

from __future__ import annotations

import contextlib
import json
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from broker_support import PaperVenue, intent_for, paper_venues, signed
from onefill.brokers.accounts import BinanceAccount, SymbolTerms
from onefill.brokers.binance import BinanceBroker
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import Denial, OrderType, Side
from onefill.core.orders.report import NotPlaced, Outcome, Placed
from onefill.ports.clock import RealClock

__all__ = ["paper_venues"]

MODE, ORDER = "/fapi/v1/positionSide/dual", "/fapi/v1/order"


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


@pytest.fixture
def hedged(tmp_path: Path) -> Iterator[PaperVenue]:
    """A venue of its own whose account is in hedge mode."""
    venue = PaperVenue(tmp_path, "B")
    signed(venue, "POST", MODE, dualSidePosition="true")
    yield venue
    venue.close()


def refused(venue: PaperVenue, path: str, **params: object) -> int:
    """The code with which the venue refuses this."""
    with pytest.raises(urllib.error.HTTPError) as error:
        signed(venue, "POST", path, **params)
    code: int = json.load(error.value)["code"]
    return code


def sides_held(venue: PaperVenue, symbol: str) -> dict[str, str]:
    """What the venue holds of a symbol, by position side."""
    held = venue.call("GET", "/positions")["positions"]
    return {p.get("position_side", "BOTH"): p["quantity"] for p in held if p["symbol"] == symbol}


async def send(broker: BinanceBroker, **order: Any) -> Outcome:
    return await broker.send(await broker.prepare(intent_for("binance", **order)))


@pytest.mark.req("ORD-12")
async def test_in_hedge_mode_orders_say_which_side_they_open_or_close(hedged: PaperVenue) -> None:
    assert refused(hedged, MODE, dualSidePosition="true") == -4059
    two, one = {"quantity": Decimal(2)}, {"quantity": Decimal(1)}
    closes = {"reduce_only": True}
    async with started(hedged) as broker:
        assert broker.capabilities.hedged
        assert isinstance(await send(broker, **two), Placed)
        assert isinstance(await send(broker, **one, side=Side.SELL), Placed)
        assert sides_held(hedged, "SIM001") == {"LONG": "2", "SHORT": "-1"}
        assert await broker.positions() == {"SIM001": Decimal(1)}
        assert isinstance(await send(broker, **one, side=Side.SELL, **closes), Placed)
        assert isinstance(await send(broker, **one, **closes), Placed)
        assert sides_held(hedged, "SIM001") == {"LONG": "1"}
        nothing = await send(broker, **one, **closes)
        assert isinstance(nothing, NotPlaced)
        assert nothing.denial is Denial.NOTHING_TO_REDUCE
        stop = {"order_type": OrderType.STOP_MARKET, "trigger_price": Decimal(90), **closes}
        assert isinstance(await send(broker, **one, side=Side.SELL, **stop), Placed)
        hedged.call("POST", "/price", {"symbol": "SIM001", "price": "89"})
        assert sides_held(hedged, "SIM001") == {}


@pytest.mark.req("ORD-12", "ORD-5")
async def test_a_mode_that_was_changed_behind_our_back_costs_one_attempt(
    hedged: PaperVenue,
) -> None:
    async with started(hedged) as broker:
        signed(hedged, "POST", MODE, dualSidePosition="false")
        intent = intent_for("binance", symbol="SIM002")
        outcome = await broker.send(await broker.prepare(intent))
        assert isinstance(outcome, NotPlaced)
        assert (outcome.code, outcome.retry) == ("-4061", True)
        assert isinstance(await broker.send(await broker.prepare(intent)), Placed)
        assert sides_held(hedged, "SIM002") == {"BOTH": "2"}
        assert not broker.capabilities.hedged


@pytest.mark.req("ORD-12", "ORD-13")
def test_in_hedge_mode_each_side_is_a_position_of_its_own(hedged: PaperVenue) -> None:
    order = {"symbol": "SIM001", "type": "MARKET", "quantity": 3}
    long, short = {"positionSide": "LONG"}, {"positionSide": "SHORT"}
    assert refused(hedged, ORDER, **order, side="BUY") == -4061
    assert refused(hedged, ORDER, **order, side="BUY", reduceOnly="true", **long) == -1106
    assert refused(hedged, ORDER, **order, side="SELL", **long) == -2022
    signed(hedged, "POST", ORDER, **order, side="BUY", **long)
    signed(hedged, "POST", ORDER, **{**order, "quantity": 2}, side="SELL", **short)
    rows = signed(hedged, "GET", "/fapi/v3/positionRisk")
    assert {r["positionSide"]: r["positionAmt"] for r in rows} == {"LONG": "3", "SHORT": "-2"}
    stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": 90, "quantity": 9}
    signed(hedged, "POST", "/fapi/v1/algoOrder", symbol="SIM001", side="SELL", **stop, **long)
    hedged.call("POST", "/price", {"symbol": "SIM001", "price": "89"})
    (row,) = signed(hedged, "GET", "/fapi/v3/positionRisk")
    assert (row["positionSide"], row["positionAmt"]) == ("SHORT", "-2")
    assert refused(hedged, MODE, dualSidePosition="false") == -4068
    held = hedged.call("GET", "/positions")["positions"]
    assert [(p["position_side"], p["quantity"]) for p in held] == [("SHORT", "-2")]
