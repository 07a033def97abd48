"""What every adapter makes of a broker that takes no orders from this instance (ORD-16)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_desk import Desk, desk, everywhere
from broker_support import paper_venues
from onefill.brokers.egress import egress_address
from onefill.core.orders.report import NotPlaced, Unknown
from onefill.ports.clock import RealClock

__all__ = ["desk", "paper_venues"]


@pytest.fixture(autouse=True)
async def opened(desk: Desk) -> AsyncIterator[None]:
    """The venue lets everybody in again afterwards."""
    yield
    desk.venue.call("POST", "/access", {"dialect": desk.broker.name})


@pytest.mark.req("ORD-16", "ORD-5")
@everywhere
async def test_an_address_that_is_not_registered_is_told_and_its_order_not_believed_placed(
    desk: Desk,
) -> None:
    """OpenAlgo passes on its brokers' words for it, which prove nothing: so nothing is sent."""
    assert await desk.broker.refuses_us() is None
    intent = desk.intent()
    prepared = await desk.broker.prepare(intent)
    access = {"dialect": desk.broker.name, "addresses": ["127.0.0.99"]}
    desk.venue.call("POST", "/access", access)
    refused = await desk.broker.refuses_us()
    assert refused is not None
    assert "HTTP 40" in refused
    outcome = await desk.broker.send(prepared)
    assert isinstance(outcome, NotPlaced if desk.broker.name == "binance" else Unknown)
    assert desk.venue.executions(intent) == 0


@pytest.mark.req("ORD-16")
@everywhere
async def test_an_instance_learns_its_address_from_who_sees_it(desk: Desk) -> None:
    clock, url = RealClock(), f"{desk.venue.url}/address"
    assert await egress_address("", url, clock)() == "127.0.0.1"
    assert await egress_address("", url, clock, source_address="127.0.0.7")() == "127.0.0.7"
    assert await egress_address("10.0.0.1", url, clock)() == "10.0.0.1"
    assert await egress_address("", "", clock)() is None
    assert await egress_address("", f"{desk.venue.url}/healthz", clock)() is None
