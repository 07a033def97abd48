"""Binance's algo service at the paper venue, as its clients see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from integration.venue_process import VenueProcess

ALGO = "v1/algoOrder"


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[VenueProcess]:
    process = VenueProcess(tmp_path)
    await process.start()
    yield process
    await process.stop()


async def wait_for(venue: VenueProcess, name: str, **fields: object) -> Any:
    """The answer to a stop at 90 for two, unless told otherwise."""
    wish = {
        "algoType": "CONDITIONAL",
        "symbol": "SIM001",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "2",
        "triggerPrice": "90",
        "clientAlgoId": name,
    }
    given = {k: v for k, v in {**wish, **fields}.items() if v is not None}
    return await venue.binance("POST", ALGO, **given)


async def shown(venue: VenueProcess, name: str) -> Any:
    return (await venue.binance("GET", ALGO, clientAlgoId=name)).json()


@pytest.mark.req("ORD-12", "ORD-13")
async def test_a_killed_venue_still_knows_what_waits_and_triggers_it_once(
    venue: VenueProcess,
) -> None:
    assert (await wait_for(venue, "one")).status_code == 200
    await venue.restart()
    assert (await shown(venue, "one"))["algoStatus"] == "NEW"
    await venue.control("/price", {"symbol": "SIM001", "price": "89"})
    await venue.restart()
    row = await shown(venue, "one")
    assert (row["algoStatus"], row["actualPrice"]) == ("FINISHED", "89")
    await venue.control("/price", {"symbol": "SIM001", "price": "80"})
    (execution,) = (await venue.get("/ledger"))["executions"]
    assert execution["broker_order_id"] == row["actualOrderId"]
    assert execution["client_order_id"] == "one"


@pytest.mark.req("ORD-12", "ORD-13")
async def test_one_order_may_close_the_whole_position_on_a_side_and_no_second(
    venue: VenueProcess,
) -> None:
    await venue.buy("entry", quantity="7")
    closing = {"quantity": None, "closePosition": "true"}
    assert (await wait_for(venue, "a", **closing)).status_code == 200
    assert (await wait_for(venue, "b", **closing)).json()["code"] == -4130
    profit = {**closing, "type": "TAKE_PROFIT_MARKET", "triggerPrice": "110"}
    assert (await wait_for(venue, "c", **profit)).status_code == 200
    await venue.control("/price", {"symbol": "SIM001", "price": "111"})
    assert (await venue.get("/positions"))["positions"] == []
    assert (await shown(venue, "c"))["algoStatus"] == "FINISHED"
    await venue.control("/price", {"symbol": "SIM001", "price": "89"})
    assert (await shown(venue, "a"))["algoStatus"] == "EXPIRED"


@pytest.mark.req("ORD-12")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"triggerPrice": "101"}, -2021),
        ({"triggerPrice": "90.001"}, -4014),
        ({"triggerPrice": None}, -1102),
        ({"quantity": "1.5"}, -1111),
        ({"type": "MARKET"}, -1116),
        ({"symbol": "ACME"}, -1121),
        ({"closePosition": "true"}, -4136),
        ({"clientAlgoId": "not legal!"}, -4015),
    ],
)
async def test_what_is_wrong_is_refused_with_its_code(
    venue: VenueProcess, fields: dict[str, object], code: int
) -> None:
    answer = await wait_for(venue, "one", **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await venue.binance("GET", "v1/openAlgoOrders")).json() == []


@pytest.mark.req("ORD-12")
async def test_all_that_wait_are_listed_and_cancelled_together(venue: VenueProcess) -> None:
    for name in ("a", "b"):
        await wait_for(venue, name)
    waiting = (await venue.binance("GET", "v1/openAlgoOrders")).json()
    assert [row["clientAlgoId"] for row in waiting] == ["a", "b"]
    assert (await wait_for(venue, "a")).json()["code"] == -4116
    await venue.binance("DELETE", "v1/algoOpenOrders", symbol="SIM001")
    assert (await venue.binance("GET", "v1/openAlgoOrders")).json() == []
    listed = (await venue.binance("GET", "v1/allAlgoOrders", symbol="SIM001")).json()
    assert [row["algoStatus"] for row in listed] == ["CANCELED", "CANCELED"]
    assert (await venue.binance("DELETE", ALGO, clientAlgoId="a")).json()["code"] == -2011
    assert (await wait_for(venue, "a")).status_code == 200
