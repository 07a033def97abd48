"""Our book and the venue's come apart, in every way that a person or a disaster can bring about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.acting import act, by_hand, until_active
from chaos.world import World, direct, send_until_accepted, world
from onefill.core.intent import OrderType, Side
from support import until

TABLES = "signal_log, order_intents, portfolio_positions, lanes, portfolio_state"


@pytest.fixture
async def here(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A running instance that holds one SIM001 and one SIM002."""
    async with world(database_url, tmp_path) as running:
        await running.restart()
        await until_active(running)
        await _send(running, direct("one", "SIM001"), direct("two", "SIM002"))
        await running.until_all_ended(20)
        yield running


async def _send(here: World, *bodies: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await send_until_accepted(session, here.instance.url, body)


async def _reconcile(here: World, **wish: object) -> Any:
    status, row = await act(here, "/api/reconciliation/run", **wish)
    assert status == 200, row
    return row


def _kinds(row: Any) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["symbol"]) for finding in row["report"]["findings"]]


@pytest.mark.req("ORD-9")
async def test_equal_books_are_clean_at_start_on_demand_and_again(here: World) -> None:
    row = await _reconcile(here)
    assert (row["clean"], row["trigger"]) == (True, "request")
    rows = await here.rows("SELECT trigger FROM reconciliations ORDER BY id")
    # Once when it began to execute, once more when it began to lead.
    assert [row["trigger"] for row in rows] in (["start", "request"], ["start", "start", "request"])
    assert await here.rows("SELECT FROM audit_log WHERE action = 'reconciliation.run'")


@pytest.mark.req("ORD-9")
async def test_an_order_placed_by_hand_is_a_stranger_and_blocks_nothing(here: World) -> None:
    limit = {"order_type": OrderType.LIMIT, "price": Decimal(1), "quantity": Decimal(3)}
    await by_hand(here, "by-hand", symbol="SIM003", **limit)
    row = await _reconcile(here)
    assert _kinds(row) == [("stranger", "SIM003")]
    await _send(here, direct("three", "SIM004"))
    await here.until_all_ended(10)


@pytest.mark.req("ORD-9")
async def test_a_position_closed_by_hand_and_one_enlarged_by_hand_are_both_told(
    here: World,
) -> None:
    await by_hand(here, "close", symbol="SIM001", side=Side.SELL, quantity=Decimal(1))
    await by_hand(here, "more", symbol="SIM002", quantity=Decimal(4))
    row = await _reconcile(here)
    found = [(f["symbol"], f["ours"], f["theirs"]) for f in row["report"]["findings"]]
    assert found == [("SIM001", "1", "0"), ("SIM002", "1", "5")]
    assert {f["proposal"] for f in row["report"]["findings"]} == {"ask"}
    assert not row["clean"]


@pytest.mark.req("ORD-9", "ORD-10")
async def test_a_fill_that_came_while_nobody_was_there_is_booked(here: World) -> None:
    body = direct("rest", "SIM005")
    await _send(
        here, body.replace(b'"contracts": 1', b'"contracts": 4, "type": "limit", "price": 90')
    )

    async def rests() -> bool:
        return bool(await here.rows("SELECT FROM order_intents WHERE state = 'ACKED'"))

    await until(rests, 10)
    here.instance.kill()
    price = {"symbol": "SIM005", "price": "80"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}/price", json=price) as response,
    ):
        assert response.status == 200
    # As if the fill had been lost for good: the book believes that the order is over.
    await here.rows("UPDATE order_intents SET state = 'CANCELLED' WHERE state = 'ACKED'")
    here.start()
    await here.instance.up()

    async def booked() -> bool:
        rows = await here.rows("SELECT bought_quantity AS held FROM position_legs")
        return sorted(row["held"] for row in rows) == [1, 1, 4]

    await until(booked, 20)
    rows = await here.rows("SELECT report FROM reconciliations ORDER BY id")
    assert any('"missed_fill"' in row["report"] for row in rows)
    assert (await _reconcile(here))["clean"]


@pytest.mark.req("ORD-9", "CTL-9")
async def test_a_database_of_yesterday_is_noticed_and_opens_nothing_until_a_person_looked(
    here: World,
) -> None:
    here.instance.kill()
    await here.rows(f"TRUNCATE {TABLES} CASCADE")
    here.start()
    await here.instance.up()
    await until_active(here)
    row = await _reconcile(here)
    assert _kinds(row) == [
        *(("quantity", "SIM001"), ("quantity", "SIM002")),
        *(("unknown_of_ours", "SIM001"), ("unknown_of_ours", "SIM002")),
    ]
    assert here.instance.logged("unknown_of_ours.*reconciler.difference.*critical")
    await _send(here, direct("new", "SIM006"))
    (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
    assert signal["status"] == "received"
    for finding in row["report"]["findings"]:
        if finding["blocks"]:
            order = {name: finding[name] for name in ("broker", "account", "broker_order_id")}
            status, row = await act(here, "/api/reconciliation/accept", **order, note="seen")
            assert status == 200
    assert _kinds(row) == [("quantity", "SIM001"), ("quantity", "SIM002")]
    await here.until_all_ended(10)
    (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
    assert signal["status"] == "executed"
