"""The instance status as a WebSocket: guarded, pushed on each change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.world import OPERATOR, world

PATH = "/ws/instance-status"


async def until_state(socket: aiohttp.ClientWebSocketResponse, state: str) -> dict[str, Any]:
    """The first pushed status with that state."""
    while True:
        status: dict[str, Any] = await socket.receive_json(timeout=60)
        if status["state"] == state:
            return status


@pytest.mark.req("IF-4", "IF-2", "CTL-11")
async def test_each_change_is_pushed_to_who_shows_a_token(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here, aiohttp.ClientSession() as session:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await here.until_follows("dev", "prod")
        url = here["dev"].url + PATH
        for attempt in ({}, {"headers": {"Authorization": "Bearer wrong"}}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, **attempt)
            assert refused.value.status == 403
        async with session.ws_connect(url, protocols=("onefill", OPERATOR)) as browser:
            assert browser.protocol == "onefill"
            assert (await browser.receive_json(timeout=60))["instance_id"] == "dev"
        async with session.ws_connect(f"{url}?token={OPERATOR}") as socket:
            first = await socket.receive_json(timeout=60)
            assert (first["is_active"], first["active_instance"]) == (False, "prod")
            assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 202
            active = await until_state(socket, "ACTIVE")
            assert active["is_active"] is True
