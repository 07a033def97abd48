"""The person whom class C needs: looks at the exchange's books, and settles what was set apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from chaos.world import World

LOOK_EVERY_S = 1.0
SURE_AFTER = "interval '5 seconds'"
"""So long after an order was set apart, nothing of it is on its way any more: the books tell."""

_APART = f"""
    SELECT client_order_id FROM order_intents
    WHERE state = 'QUARANTINED' AND updated_at < clock_timestamp() - {SURE_AFTER}"""
_RULED_OUT = """
    SELECT client_order_id FROM order_intents i
    WHERE state = 'NOT_PLACED' AND send_by < clock_timestamp() - interval '61 seconds'
      AND NOT EXISTS (SELECT FROM order_intents o WHERE o.signal_id = i.signal_id AND o.n > i.n)"""


@dataclass
class Person:
    """Never guesses: the exchange's ledger knows each order. done: how often which verdict."""

    here: World
    done: Counter[str] = field(default_factory=Counter)

    async def work(self, ended: asyncio.Event) -> None:
        """Settle until it is over."""
        while not ended.is_set():
            # Instances die meanwhile: what was not heard now is said again at the next look.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_EVERY_S)

    async def _look(self) -> None:
        apart = await self.here.rows(_APART)
        if apart:
            ledger = await self.here.ledger()
            known = {order["client_order_id"]: order for order in ledger["orders"]}
            for row in apart:
                await self._settle(row["client_order_id"], known)
        for row in await self.here.rows(_RULED_OUT):
            again = {"confirm": True, "note": "wanted still"}
            await self._say(row["client_order_id"], "place-again", again)

    async def _settle(self, name: str, known: Mapping[str, Mapping[str, Any]]) -> None:
        order = known.get(name)
        if order is None:
            await self._say(name, "resolve", {"outcome": "not_placed", "note": "in no book"})
            return
        number = order["broker_order_id"]
        placed = {"outcome": "placed", "broker_order_id": number, "note": "in the book"}
        await self._say(name, "resolve", placed)

    async def _say(self, name: str, what: str, verdict: Mapping[str, Any]) -> None:
        """To whichever instance leads. 409 elsewhere, and where it was found by itself meanwhile;
        503 where the database is looked for."""
        for instance in self.here.instances:
            path = f"/api/orders/{name}/{what}"
            status, answer = await self.here.ask(instance, path, verdict)
            assert status in (200, 409, 503), answer
            if status == 200:
                self.done[str(verdict.get("outcome", "again"))] += 1
                return


@contextlib.asynccontextmanager
async def at_the_desk(here: World) -> AsyncIterator[Person]:
    """Somebody sits there until the end of the block."""
    person, ended = Person(here), asyncio.Event()
    working = asyncio.create_task(person.work(ended))
    try:
        yield person
    finally:
        ended.set()
        await working
