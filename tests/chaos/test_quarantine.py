"""An order that nobody can find: it goes to a person, and what turns up late still wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.acting import act
from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

LATE_MS = 12_000
QUICK = {"ONEFILL_ORDERS__LOOK_AGAIN_EVERY_S": "1", "ONEFILL_ORDERS__REPEAT_ALARM_EVERY_S": "1"}


async def _order(here: World) -> dict[str, Any]:
    (row,) = await here.rows("SELECT * FROM order_intents")
    return row


async def _until_state(here: World, state: str) -> None:
    async def is_so() -> bool:
        rows = await here.rows("SELECT state FROM order_intents")
        return [row["state"] for row in rows] == [state]

    await until(is_so)


async def _act(here: World, path: str, **body: object) -> int:
    return (await act(here, path, **body))[0]


async def _quarantined(here: World) -> str:
    """Send one order that appears at the venue long after anybody could know."""
    await here.fault(kind="late", next=1, ms=LATE_MS)
    await here.restart()
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here.instance.url, direct("one", "SIM001"))
    await _until_state(here, "QUARANTINED")
    return str((await _order(here))["client_order_id"])


@pytest.mark.req("ORD-4", "ORD-7")
async def test_a_quarantined_order_that_appears_after_all_is_settled_without_a_person(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="C", **QUICK) as here:
        await _quarantined(here)
        await until(lambda: here.instance.logged("escalation.quarantined"))
        await _until_state(here, "FILLED")
        await here.until_all_ended()
        assert list(executions_by_order(await here.ledger()).values()) == [1]
        (lane,) = await here.rows("SELECT blocked FROM lanes")
        assert lane["blocked"] is None


@pytest.mark.req("ORD-4", "ORD-7", "ORD-8")
async def test_an_execution_after_a_persons_no_is_believed_alarmed_and_blocks_until_unblocked(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="C", **QUICK) as here:
        name = await _quarantined(here)
        verdict = {"outcome": "not_placed", "note": "in no book"}
        assert await _act(here, f"/api/orders/{name}/resolve", **verdict) == 200
        again = f"/api/orders/{name}/place-again"
        assert await _act(here, again, confirm=True, note="wanted") == 409
        await _until_state(here, "FILLED")
        (lane,) = await here.rows("SELECT blocked FROM lanes")
        assert lane["blocked"] == "contradiction"
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here.instance.url, direct("two", "SIM001"))
        await here.until_all_ended()
        (second,) = await here.rows("SELECT reason FROM signal_log ORDER BY id DESC LIMIT 1")
        assert second["reason"] == "lane_blocked"
        assert await _act(here, "/api/lanes/main/SIM001/unblock", note="looked") == 200
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here.instance.url, direct("three", "SIM001"))
        await here.until_all_ended()
        assert sum(executions_by_order(await here.ledger()).values()) == 2


@pytest.mark.req("ORD-7")
async def test_an_order_ruled_out_is_placed_again_as_one_new_order(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="C", **QUICK) as here:
        await here.fault(kind="error_before", next=1)
        await here.restart()
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here.instance.url, direct("one", "SIM001"))
        await _until_state(here, "QUARANTINED")
        name = (await _order(here))["client_order_id"]
        verdict = {"outcome": "not_placed", "note": "in no book"}
        assert await _act(here, f"/api/orders/{name}/resolve", **verdict) == 200
        await here.rows("UPDATE order_intents SET send_by = now() - interval '61 s'")
        again = f"/api/orders/{name}/place-again"
        assert await _act(here, again, confirm=True, note="wanted") == 200

        async def filled() -> bool:
            rows = await here.rows("SELECT state FROM order_intents ORDER BY n")
            return [row["state"] for row in rows] == ["NOT_PLACED", "FILLED"]

        await until(filled)
        assert list(executions_by_order(await here.ledger()).values()) == [1]
        (position,) = await here.rows("SELECT bought_quantity AS held FROM position_legs")
        assert position["held"] == 1
