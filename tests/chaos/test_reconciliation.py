"""Our book and the venue's come apart, in every way that a person or a disaster can bring about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.acting import act, until_active
from chaos.world import World, direct, send_until_accepted, world
from support import until

TABLES = "signal_log, order_intents, portfolio_positions, lanes, portfolio_state"


@pytest.fixture
async def here(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A running instance that holds one SIM001 and one SIM002."""
    async with world(database_url, tmp_path) as running:
        await running.restart()
        await until_active(running)
        await _send(running, direct("one", "SIM001"), direct("two", "SIM002"))
        await running.until_all_ended()
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
    triggers = [row["trigger"] for row in rows]
    assert triggers[0] == "start"
    assert set(triggers) == {"start", "request"}
    assert await here.rows("SELECT FROM audit_log WHERE action = 'reconciliation.run'")


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
    critical = "unknown_of_ours.*reconciler.difference.*critical"
    await until(lambda: here.instance.logged(critical))
    await _send(here, direct("new", "SIM006"))
    (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
    assert signal["status"] == "received"
    for finding in row["report"]["findings"]:
        if finding["blocks"]:
            order = {name: finding[name] for name in ("broker", "account", "broker_order_id")}
            status, row = await act(here, "/api/reconciliation/accept", **order, note="seen")
            assert status == 200
    assert _kinds(row) == [("quantity", "SIM001"), ("quantity", "SIM002")]
    await here.until_all_ended()
    (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
    assert signal["status"] == "executed"
