"""The doctor asks brokers whether they take orders from here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker_support import PaperVenue, paper_venues
from onefill.cli.doctoring.finding import Grade
from onefill.cli.doctoring.logins import logins
from onefill.config.settings import Settings
from onefill.ports.clock import RealClock

__all__ = ["paper_venues"]


async def graded(settings: Settings) -> dict[str, Grade]:
    return {each.subject: each.grade async for each in logins(settings, RealClock())}


@pytest.mark.req("ORD-16")
async def test_the_doctor_names_each_broker_that_takes_no_orders_from_here(
    paper_venues: Callable[[str], PaperVenue],
) -> None:
    venue = paper_venues("B")
    settings = Settings.model_validate({"venue_url": venue.url})
    assert await graded(settings) == {"binance login": Grade.OK, "openalgo login": Grade.OK}
    venue.call("POST", "/access", {"dialect": "openalgo", "session": False})
    assert (await graded(settings))["openalgo login"] is Grade.FAIL
    venue.call("POST", "/access", {"dialect": "openalgo"})


@pytest.mark.req("ORD-16")
async def test_the_doctor_compares_this_machines_address_with_the_registered_ones(
    paper_venues: Callable[[str], PaperVenue],
) -> None:
    venue = paper_venues("B")
    brokers = {"binance": {"egress_addresses": ["10.1.1.1"]}}
    given = {"venue_url": venue.url, "brokers": brokers}
    assert (await graded(Settings.model_validate(given)))["binance address"] is Grade.WARN
    here = Settings.model_validate({**given, "egress_url": f"{venue.url}/address"})
    assert (await graded(here))["binance address"] is Grade.FAIL
    registered = Settings.model_validate({**given, "egress_address": "10.1.1.1"})
    assert "binance address" not in await graded(registered)
