"""The paper venue closes an exchange as real ones do: what rests ends, what comes is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.venue_process import VenueProcess

PUT = "BANKNIFTY26JAN3060000PE"


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[VenueProcess]:
    process = VenueProcess(tmp_path / "venue")
    await process.start()
    yield process
    await process.stop()


@pytest.mark.req("ORD-13", "SIG-18")
async def test_a_closed_exchange_ends_what_rests_and_takes_nothing_until_it_opens(
    venue: VenueProcess,
) -> None:
    resting = {"symbol": PUT, "pricetype": "LIMIT", "price": "0.05"}
    first = (await venue.leg("first", **resting)).json()
    await venue.control("/market", {"exchange": "NFO", "open": False})
    seen = (await venue.openalgo("orderstatus", orderid=first["orderid"])).json()["data"]
    assert seen["order_status"] == "cancelled"
    refused = await venue.leg("second", symbol=PUT)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("Markets are closed")
    gold = {"symbol": "GOLDM05JAN30FUT", "exchange": "MCX", "quantity": "100"}
    assert (await venue.leg("gold", **gold)).status_code == 200
    assert await venue.get("/market") == {"closed": ["NFO"], "turned_away": 1}
    await venue.control("/market", {"exchange": "NFO", "open": True})
    assert (await venue.leg("third", symbol=PUT)).status_code == 200
    assert await venue.executed() == ["gold", "third"]


@pytest.mark.req("ORD-13", "SIG-18")
async def test_an_order_held_back_by_a_fault_does_not_trade_after_the_close(
    venue: VenueProcess,
) -> None:
    await venue.fault("late_fill", ms=3_000)
    await venue.leg("held", symbol=PUT)
    await venue.control("/market", {"exchange": "NFO", "open": False})
    await venue.control("/market", {"exchange": "NFO", "open": True})
    await venue.fault("late_fill", ms=3_300)
    await venue.leg("later", symbol=PUT)
    await venue.has_executed(1)
    assert await venue.executed() == ["later"]
