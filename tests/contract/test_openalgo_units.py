"""OpenAlgo servers that count contracts and ones that count units, at the real paper venue.

The venue's ledger counts units always, so it says what was really bought.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from broker_support import PaperVenue, in_doubt, intent_for, paper_venues
from onefill.brokers.accounts import OpenAlgoAccount, QuantityUnit
from onefill.brokers.openalgo.adapter import OpenAlgoBroker
from onefill.brokers.openalgo.units import UnitConverter
from onefill.core.errors import BrokerUnavailable, Bug
from onefill.core.intent import OrderIntent
from onefill.core.orders.report import Found, Placed
from onefill.ports.clock import RealClock

__all__ = ["paper_venues"]

GOLD = "GOLDM05JAN30FUT"


@pytest.fixture
def venue(paper_venues: Callable[[str], PaperVenue]) -> PaperVenue:
    return paper_venues("C")


@contextlib.asynccontextmanager
async def at_a_server_that_counts(
    venue: PaperVenue, unit: QuantityUnit, declared: QuantityUnit = QuantityUnit.AUTO
) -> AsyncIterator[OpenAlgoBroker]:
    venue.call("POST", "/settings", {"mcx_contracts": unit is QuantityUnit.CONTRACTS})
    account = OpenAlgoAccount(
        base_url=venue.url, mcx_quantity=declared, units_per_contract={"GOLDM": Decimal(100)}
    )
    broker = OpenAlgoBroker(account, RealClock())
    try:
        await broker.start()
        yield broker
    finally:
        await broker.close()
        venue.call("POST", "/settings", {"mcx_contracts": False})


def gold(lots: int) -> OrderIntent:
    order = {"symbol": GOLD, "exchange": "MCX", "quantity": Decimal(100 * lots)}
    return intent_for("openalgo", **order)


def bought(venue: PaperVenue, intent: OrderIntent) -> Decimal:
    executions = venue.call("GET", "/ledger")["executions"]
    mine = [e for e in executions if e["client_order_id"] == intent.client_order_id]
    return sum((Decimal(e["quantity"]) for e in mine), Decimal(0))


@pytest.mark.req("ORD-12", "ORD-13")
@pytest.mark.parametrize("unit", [QuantityUnit.UNITS, QuantityUnit.CONTRACTS])
async def test_two_lots_are_two_lots_whatever_the_server_counts(
    venue: PaperVenue, unit: QuantityUnit
) -> None:
    async with at_a_server_that_counts(venue, unit) as broker:
        before = (await broker.positions()).get(GOLD, Decimal(0))
        intent = gold(2)
        prepared = await broker.prepare(intent)
        outcome = await broker.send(prepared)
        assert isinstance(outcome, Placed)
        number = outcome.report.broker_order_id
        seen = await broker.look_up(replace(in_doubt(prepared), broker_order_id=number), ())
        assert isinstance(seen, Found)
        assert seen.report.filled_quantity == bought(venue, intent) == 200
        assert (await broker.positions())[GOLD] == before + 200
        listed = await broker.history({GOLD})
        assert {r.quantity for r in listed if r.broker_order_id == number} == {Decimal(200)}


@pytest.mark.req("ORD-12")
@pytest.mark.parametrize(
    ("unit", "declared"),
    [
        (QuantityUnit.CONTRACTS, QuantityUnit.UNITS),
        (QuantityUnit.UNITS, QuantityUnit.CONTRACTS),
    ],
)
async def test_a_server_that_counts_otherwise_than_configured_gets_no_order(
    venue: PaperVenue, unit: QuantityUnit, declared: QuantityUnit
) -> None:
    async with at_a_server_that_counts(venue, unit, declared) as broker:
        intent = gold(1)
        with pytest.raises(BrokerUnavailable, match="are configured"):
            await broker.prepare(intent)
        assert bought(venue, intent) == 0


@pytest.mark.req("ORD-12", "ORD-9")
async def test_what_is_held_is_not_read_where_it_is_unsure_what_is_counted(
    venue: PaperVenue,
) -> None:
    async with at_a_server_that_counts(venue, QuantityUnit.CONTRACTS) as broker:
        assert isinstance(await broker.send(await broker.prepare(gold(1))), Placed)
        assert (await broker.positions())[GOLD] % 100 == 0
    declared = QuantityUnit.UNITS
    async with at_a_server_that_counts(venue, QuantityUnit.CONTRACTS, declared) as broker:
        with pytest.raises(BrokerUnavailable):
            await broker.positions()


@pytest.mark.req("ORD-12")
async def test_a_part_of_a_contract_is_never_ordered(venue: PaperVenue) -> None:
    async with at_a_server_that_counts(venue, QuantityUnit.CONTRACTS) as broker:
        intent = gold(1)
        part = replace(intent, order=replace(intent.order, quantity=Decimal(150)))
        with pytest.raises(Bug, match="whole contracts"):
            await broker.prepare(part)


@pytest.mark.req("ORD-12")
def test_a_quantity_that_may_mean_either_is_none() -> None:
    account = OpenAlgoAccount(
        base_url="http://nowhere",
        mcx_quantity=QuantityUnit.UNITS,
        units_per_contract={"GOLDM": Decimal(100)},
    )
    units = UnitConverter(account)
    units.note(GOLD, Decimal(1), 0)
    assert units.from_wire(Decimal(5), GOLD, "MCX") is None
    units.note(GOLD, Decimal(100), 0)
    assert units.from_wire(Decimal(500), GOLD, "MCX") == 500
