"""Which contracts an adapter finds listed at the real paper venue."""

from __future__ import annotations

from datetime import date

import pytest

from broker_desk import Desk, desk, everywhere
from broker_support import paper_venues
from onefill.core.defaults import BANK_NIFTY, GOLD_MINI
from onefill.core.errors import BrokerUnavailable
from onefill.core.instrument import Series

__all__ = ["desk", "paper_venues"]

OPENALGO = pytest.mark.parametrize("desk", [("openalgo", "C")], indirect=True, ids="-".join)


@pytest.mark.req("PF-23")
@everywhere
async def test_a_venue_without_a_list_has_none(desk: Desk) -> None:
    assert await desk.broker.series(BANK_NIFTY) == ()


@pytest.mark.req("PF-23", "ORD-13")
@OPENALGO
async def test_what_is_listed_comes_with_the_size_of_its_lot(desk: Desk) -> None:
    ends = ["2026-01-27", "2025-12-30", "2026-02-24", "2026-03-30", "2026-04-28", "2026-05-26"]
    listed = {"BANKNIFTY": {"expiries": ends}, "GOLDM": {"expiries": ["2026-01-05"], "lot": 50}}
    desk.venue.call("POST", "/settings", {"listed": listed})
    found = await desk.broker.series(BANK_NIFTY)
    assert [each.expiry.isoformat() for each in found] == sorted(ends)
    assert [each.units for each in found] == [35, 30, 30, 30, None, None]
    assert await desk.broker.series(GOLD_MINI) == (Series(date(2026, 1, 5), 50),)


@pytest.mark.req("PF-23")
@OPENALGO
@pytest.mark.parametrize("kind", ["error_before", "drop_reply"])
async def test_a_list_that_can_not_be_had_is_said_to_be_away(desk: Desk, kind: str) -> None:
    desk.venue.call("POST", "/faults", {"kind": kind, "match": {"kind": "market"}})
    with pytest.raises(BrokerUnavailable):
        await desk.broker.series(BANK_NIFTY)
