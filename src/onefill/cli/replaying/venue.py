"""The paper venue's price and clock, set to each step before its signal is sent."""

from __future__ import annotations

from collections.abc import Mapping

from onefill.cli.client import Client, good
from onefill.cli.delivery import Courier
from onefill.cli.errors import Unreachable
from onefill.cli.replaying.step import Step


class Venue:
    """A paper venue that follows the replay."""

    def __init__(self, client: Client, courier: Courier, symbols: Mapping[str, str]) -> None:
        self._client = client
        self._courier = courier
        self._symbols = symbols

    def answers(self) -> bool:
        """Whether there is a paper venue."""
        try:
            return self._client.ask("GET", "/healthz").is_good
        except Unreachable:
            return False

    async def follow(self, step: Step) -> None:
        """Set the clock, and the price where the step has one. Raises Refused, Unreachable."""
        await self._post("/clock", {"at_ms": step.at_ms})
        if step.price is not None:
            name = str(step.body.get("instrument") or step.body.get("ticker") or "")
            await self._post(
                "/price", {"symbol": self._symbols.get(name, name), "price": step.price}
            )

    async def let_go(self) -> None:
        """Give the venue its own time back."""
        await self._post("/clock", {"offset_ms": 0})

    async def _post(self, path: str, body: Mapping[str, object]) -> None:
        good(await self._courier.insist(lambda: self._client.ask("POST", path, body=body)))
