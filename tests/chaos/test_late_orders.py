"""A venue that breaks its word: an order appears long after it had been declared impossible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.acting import act, until_active
from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

LATE_MS = 12_000
"""Far beyond the request's window of one second and the venue's declared lag of 200 ms."""


async def _send(here: World, name: str) -> None:
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here.instance.url, direct(name, "SIM001"))


async def _start_with_one_late_order(here: World) -> None:
    await here.fault(kind="late", next=1, ms=LATE_MS)
    await here.restart()
    await until_active(here)
    await _send(here, "one")


async def _reconcile(here: World) -> Any:
    status, row = await act(here, "/api/reconciliation/run")
    assert status == 200, row
    return row["report"]["findings"]


@pytest.mark.req("ORD-5", "ORD-7", "ORD-9")
async def test_a_second_execution_beyond_the_declared_lag_is_found_alarmed_and_blocks(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="B") as here:
        await _start_with_one_late_order(here)
        await here.until_all_ended()  # it was absent past its window and the lag: sent again

        async def appeared() -> bool:
            return list(executions_by_order(await here.ledger()).values()) == [2]

        await until(appeared)
        findings = await _reconcile(here)
        assert "second_order" in {finding["kind"] for finding in findings}, findings

        async def blocked() -> bool:
            (lane,) = await here.rows("SELECT blocked FROM lanes")
            return bool(lane["blocked"] == "two_orders")

        await until(blocked)
        await until(lambda: here.instance.logged("two orders at the broker.*settler.alarm"))
        await _send(here, "two")

        await here.until_all_ended()
        (two,) = await here.rows("SELECT * FROM signal_log ORDER BY id DESC LIMIT 1")
        assert two["reason"] == "lane_blocked"
        assert sum(executions_by_order(await here.ledger()).values()) == 2


@pytest.mark.long
@pytest.mark.req("ORD-5", "ORD-7")
async def test_where_ids_are_unique_for_ever_a_late_twin_is_refused_by_the_venue(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="A") as here:
        await _start_with_one_late_order(here)
        await here.until_all_ended()

        async def past() -> bool:
            after = (
                "SELECT now() - received_at > $1::float * interval '1 ms' AS past FROM signal_log"
            )
            return bool((await here.rows(after, LATE_MS + 500.0))[0]["past"])

        await until(past)
        assert await _reconcile(here) == []
        assert list(executions_by_order(await here.ledger()).values()) == [1]
