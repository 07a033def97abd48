"""Signals that should have come: an alert within a bar, once whoever leads, over when they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.strain import watched
from chaos.world import SECRET, World, send_until_accepted, world
from support import until

BAR_S = 8
WATCHED = {
    "ONEFILL_INSTRUMENTS__BANK_NIFTY__BAR_MINUTES": str(BAR_S / 60),
    "ONEFILL_JOBS__WATCH_EVERY_S": "1",
    "ONEFILL_JOBS__WATCH_GRACE_S": "0.5",
}


async def _hear(here: World, name: str, **more: object) -> None:
    body = {
        "secret": SECRET,
        "type": "MARKET_DATA",
        "instrument": "BANK_NIFTY",
        "price": 60_000,
        "atr": 250,
        "supertrend": 59_000,
        "timestamp": datetime.now(UTC).timestamp(),
        "order_id": str(datetime.now(UTC)),  # no duplicate within its second
        **more,
    }
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here[name].url, json.dumps(body).encode())


def _told(here: World) -> list[str]:
    """The alarms of the first leader."""
    lines = here["prod"].log.read_text().splitlines()
    return [line for line in lines if "watch.missed" in line]


async def _missed(here: World, name: str) -> dict[str, dict[str, Any]]:
    """What is missed now, by kind, as the API tells it."""
    return {each["kind"]: each for each in (await here.ask(name, "/api/status"))[1]["missed"]}


@pytest.mark.req("SIG-21", "CTL-20")
async def test_a_missed_bar_and_a_hole_alarm_once_through_a_failover_and_end_when_heard(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **WATCHED) as here, watched() as machine:
        await here.run("prod", "dev")
        await _hear(here, "prod", sequence=1)
        await _hear(here, "prod", sequence=4, market_position="long", position_size=2)

        async def all_three() -> dict[str, Any] | None:
            missed = await _missed(here, "prod")
            return missed.get("bar") if len(missed) == 3 else None

        bar = await until(all_three)
        assert bar is not None
        since, raised = (datetime.fromisoformat(bar[name]) for name in ("since", "raised_at"))
        late = (raised - since).total_seconds() - machine.between(since, raised)
        assert late < BAR_S
        await until(lambda: len(_told(here)) == 3)
        here["prod"].kill()
        await here.until_active("dev")
        await _hear(here, "dev", sequence=2)
        await _hear(here, "dev", sequence=3, market_position="flat", position_size=0)

        async def all_came_right() -> bool:
            if "bar" in (missed := await _missed(here, "dev")):
                await _hear(here, "dev")
            return not missed

        await until(all_came_right)
        (_, page) = await here.ask("dev", "/api/missed")
        kinds = [each["kind"] for each in page["items"] if each["id"] <= 3]
        assert sorted(kinds) == ["bar", "position", "sequence"]
        told = _told(here)
        assert len(told) == 3
        assert {json.loads(line)["level"] for line in told} == {"error"}
