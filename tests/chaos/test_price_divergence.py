"""The market moved away at the venue: entries are refused, exits only told of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.strain import Strain, watched
from chaos.world import World, send_until_accepted, world
from support import until

WITHIN_S = 4
"""How long a decision waits for a quote."""
QUOTES = {"ONEFILL_QUOTES__ASK": "true", "ONEFILL_QUOTES__WITHIN_MS": str(WITHIN_S * 1000)}


async def _price(here: World, price: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{here.venue.url}/price", json={"symbol": "BANKNIFTY", "price": price}
        ) as response,
    ):
        assert response.status < 300


async def _ended(here: World, kind: str, slot: str, price: int = 60_000) -> dict[str, Any]:
    """A signal sent, and its row once it has ended."""
    async with aiohttp.ClientSession() as session:
        body = bank_nifty(kind, slot, f"{kind}-{slot}-{price}", price)
        sent = await send_until_accepted(session, here.instance.url, body)
    await here.until_all_ended()
    (row,) = await here.rows(
        "SELECT processing_status AS status, reason, "
        "received_at, decided_at "
        "FROM signal_log WHERE id = $1",
        sent["signal_id"],
    )
    return row


def _decided_after_s(row: Mapping[str, Any], machine: Strain) -> float:
    """How long the decision took, less what the machine had no time for it."""
    start, end = row["received_at"], row["decided_at"]
    return float((end - start).total_seconds() - machine.between(start, end))


def _end(row: Mapping[str, Any]) -> tuple[str, str | None]:
    return row["status"], row["reason"]


async def _missing(here: World) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{here.instance.url}/metrics",
            headers={"Authorization": f"Bearer {here.environment['ONEFILL_OPERATOR_TOKEN']}"},
        ) as response,
    ):
        lines = (await response.text()).splitlines()
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith("onefill_quotes_missing_")
    )


@pytest.mark.req("SIG-18")
async def test_a_price_that_moved_away_refuses_entries_and_only_tells_of_exits(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **QUOTES) as here:
        here.start()
        await here.instance.up()
        assert _end(await _ended(here, "BASE_ENTRY", "Long_1", 61_300)) == (
            "rejected",
            "price_divergence",
        )
        assert _end(await _ended(here, "BASE_ENTRY", "Long_1")) == ("executed", None)
        await _price(here, 62_000)
        far = await _ended(here, "PYRAMID", "Long_2", 61_000)
        assert _end(far) == ("rejected", "price_divergence")
        await _price(here, 58_500)
        left = await _ended(here, "EXIT", "ALL", 61_000)
        assert _end(left) == ("executed", None)
        await until(lambda: here.instance.logged("exit goes ahead"))
        assert await _missing(here) == 0


@pytest.mark.req("SIG-18")
async def test_a_broker_without_quotes_delays_no_exit_and_stops_no_entry(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **QUOTES) as here, watched() as machine:
        here.start()
        await here.instance.up()
        await here.fault(kind="stall", ms=20_000, match={"kind": "any", "path": "/api/v1/quotes"})
        entered = await _ended(here, "BASE_ENTRY", "Long_1")
        assert _end(entered) == ("executed", None)
        waited = entered["decided_at"] - entered["received_at"]
        assert waited.total_seconds() >= WITHIN_S - 0.1
        left = await _ended(here, "EXIT", "ALL")
        assert _end(left) == ("executed", None)
        assert _decided_after_s(left, machine) < WITHIN_S
        assert await _missing(here) >= 1
        await here.restart(ONEFILL_QUOTES__MISSING="reject")
        again = await _ended(here, "BASE_ENTRY", "Long_1", 60_010)
        assert _end(again) == ("rejected", "no_quote")
