"""The application itself, without a socket: when it answers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from onefill.venue.app import Venue
from onefill.venue.ledger import Ledger
from onefill.venue.options import VenueOptions

Message = MutableMapping[str, Any]


class HeldLedger(Ledger):
    """A disk that takes its time: nothing is forced before `released` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.released = threading.Event(), threading.Event()

    def _force(self, data: bytes) -> None:
        self.asked.set()
        assert self.released.wait(10)
        super()._force(data)


class Client:
    """Speaks ASGI to an application that runs its life beside it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Client:
        self._life = asyncio.create_task(
            self._venue({"type": "lifespan"}, self._events.get, self._said.put)
        )
        await self._events.put({"type": "lifespan.startup"})
        await self._said.get()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._events.put({"type": "lifespan.shutdown"})
        assert self._life is not None
        await self._life

    async def post(self, path: str, body: dict[str, object]) -> tuple[int, dict[str, Any]]:
        """The status and the JSON that the application answers."""
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps(body).encode()}

        async def send(message: Message) -> None:
            said.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
        await self._venue(scope, receive, send)
        return said[0]["status"], json.loads(said[1]["body"])


ORDER: dict[str, object] = {
    "apikey": "paper",
    "strategy": "one",
    "symbol": "GOLDM05JAN26FUT",
    "exchange": "MCX",
    "action": "BUY",
    "quantity": 100,
}


@pytest.mark.req("ORD-13", "IF-13")
@pytest.mark.parametrize("has_faults", [False, True])
async def test_no_order_is_answered_before_the_disk_has_it(
    tmp_path: Path, has_faults: bool
) -> None:
    ledger = HeldLedger(tmp_path)
    async with Client(Venue(VenueOptions(data=tmp_path), ledger)) as client:
        if has_faults:
            await client.post("/faults", {"kind": "duplicate_fill"})
        placing = asyncio.create_task(client.post("/api/v1/placeorder", ORDER))
        assert await asyncio.to_thread(ledger.asked.wait, 10)
        assert not placing.done()
        assert b"GOLDM" not in ledger.path.read_bytes()
        asking = asyncio.create_task(client.post("/api/v1/orderbook", {"apikey": "paper"}))
        done, _ = await asyncio.wait({placing, asking}, timeout=0)
        assert not done
        ledger.released.set()
        status, answer = await placing
        assert (status, answer["status"]) == (200, "success")
        assert b"GOLDM" in ledger.path.read_bytes()
        assert (await asking)[0] == 200
