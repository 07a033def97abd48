"""Control changes hands, again and again, while signals arrive: each takeover in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from onefill.cli.client import Client
from onefill.cli.demo.narrator import Narrator
from onefill.cli.demo.stage import Stage
from onefill.cli.errors import Refused, Unreachable
from onefill.cli.output import Row, escaped
from onefill.ports.clock import Clock

PAUSE_S = 2.0
_POLL_S = 0.05
_PATIENCE_S = 20.0


class Takeovers:
    """Lets the standby take control, `count` times."""

    def __init__(self, stage: Stage, narrator: Narrator, clock: Clock, count: int) -> None:
        self._stage = stage
        self._narrator = narrator
        self._clock = clock
        self._count = count

    async def run(self) -> None:
        """Return when all are done. Raises Refused when one fails."""
        for number in range(1, self._count + 1):
            await self._clock.sleep(PAUSE_S)
            standby = await asyncio.to_thread(self._standby)
            standby.post("/api/ginie/take-control", {"force": False})
            steps = await self._steps(standby)
            self._narrator.say(f"[bold]takeover {number} of {self._count}[/]: {story_of(steps)}")
        await self._clock.sleep(PAUSE_S)

    def _standby(self) -> Client:
        for client in (self._stage.prod_client, self._stage.dev_client):
            if not client.get("/api/ginie/instance-status")["is_active"]:
                return client
        raise Refused("both instances say that they are active")

    async def _steps(self, standby: Client) -> list[dict[str, Any]]:
        until_ms = self._clock.boottime_ms() + _PATIENCE_S * 1000
        while self._clock.boottime_ms() < until_ms:
            status = await asyncio.to_thread(standby.get, "/api/ginie/instance-status")
            operation = status["operation"]
            if operation and operation["ended"] and status["is_active"]:
                return list(operation["steps"])
            await self._clock.sleep(_POLL_S)
        raise Unreachable("a takeover did not come to its end")


def story_of(steps: Sequence[Row]) -> str:
    """The steps of a takeover, each with its milliseconds since the first."""
    began = datetime.fromisoformat(steps[0]["at"])

    def told(step: Row) -> str:
        after_ms = (datetime.fromisoformat(step["at"]) - began) / timedelta(milliseconds=1)
        return f"{escaped(step['step'])} by {escaped(step['by'])} [dim]+{after_ms:.0f} ms[/]"

    return " → ".join(told(step) for step in steps)
