"""A sender of alerts as TradingView behind a proxy is one: never tired, and believed by nobody."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

import aiohttp

from chaos.world import World, direct
from support import until

AT_ONCE = 8
OFFERED_S = 180
"""For how long an alert is offered, one instance after the other, before the test has failed."""
WAITS_S = 1.0
"""For an answer at first; by as much longer with each turn, as the machine may be slow."""


class Traffic:
    """Alerts of one contract each, to the lanes in turn. acknowledged: what a 2xx was had for."""

    def __init__(self, here: World, names: Sequence[str], lanes: int, a_second: float) -> None:
        self._here = here
        self._names = names
        self._lanes = lanes
        self._pause_s = 1 / a_second
        self._over = asyncio.Event()
        self._numbers = itertools.count()
        self.sent = 0
        self.acknowledged: set[int] = set()

    def send_to(self, *names: str) -> None:
        """Offer alerts to these from now on."""
        self._names = names

    def stop(self) -> None:
        """Begin no more."""
        self._over.set()

    async def run(self) -> None:
        """Send until told to stop, and until all that was begun is acknowledged."""
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as sends,
        ):
            while not self._over.is_set():
                sends.create_task(self._send(session, next(self._numbers)))
                self.sent += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await self._over.wait()

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        body = direct(f"t{number}", f"SIM{number % self._lanes + 1:03d}")
        turns = itertools.count()

        async def is_taken() -> bool:
            turn = next(turns)
            url = self._here[self._names[(number + turn) % len(self._names)]].url
            timeout = aiohttp.ClientTimeout(total=WAITS_S * (1 + turn / 4))
            try:
                async with session.post(f"{url}/webhook", data=body, timeout=timeout) as response:
                    if response.status < 300:
                        self.acknowledged.add(int((await response.json())["signal_id"]))
                        return True
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
            return False

        await until(is_taken, OFFERED_S)


@contextlib.asynccontextmanager
async def traffic(
    here: World, *names: str, lanes: int = 20, a_second: float = 20
) -> AsyncIterator[Traffic]:
    """Alerts all the time; when the block ends, every one that was begun is acknowledged."""
    sender = Traffic(here, names, lanes, a_second)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
        sender.stop()
        await running
    finally:
        running.cancel()
        await asyncio.wait({running})
