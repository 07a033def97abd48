"""Binance's user stream: a key, a WebSocket that is made again when it breaks, and words.

The key is the account's, not ours: every instance gets the same one, and deleting it would cut
all others off. So it is prolonged while we listen and left to expire by itself (within an hour).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import words
from onefill.brokers.binance.events import EventReader, KeyExpired
from onefill.brokers.binance.wire import Wire
from onefill.brokers.outcome import UNREADABLE
from onefill.core.errors import BrokerUnavailable
from onefill.core.orders.stream_words import Connected, Disconnected, StreamWord
from onefill.ports.clock import Clock

LISTEN_KEY = "/fapi/v1/listenKey"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0

Hear = Callable[[StreamWord], None]


class UserStream:
    """Listens for as long as it runs, and says what it hears."""

    def __init__(self, wire: Wire, login: BinanceAccount, clock: Clock) -> None:
        self._wire = wire
        self._login = login
        self._clock = clock

    async def run(self, hear: Hear, *, passes_ids_on: bool) -> None:
        """Listen until cancelled; after each break a new key, with longer and longer pauses."""
        reader = EventReader(passes_ids_on=passes_ids_on)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._wire.http.listen(await self._url()) as socket:
                    pause_s = _FIRST_PAUSE_S
                    hear(Connected())
                    reason = await self._listen(socket, reader, hear)
            except BrokerUnavailable as error:
                reason = str(error)
            hear(Disconnected(detail=reason))
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _url(self) -> str:
        reply = await self._wire.http.ask("POST", LISTEN_KEY, self._wire.headers)
        key = self._wire.read(reply, words.key_decoder).listen_key
        return f"{self._login.stream_address}?listenKey={key}"

    async def _listen(
        self, socket: aiohttp.ClientWebSocketResponse, reader: EventReader, hear: Hear
    ) -> str:
        """Hand on what is heard until the connection or its key ends; says why it did."""
        keeping = asyncio.create_task(self._keep(socket), name="binance listen key")
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                word = _word(reader, message.data)
                if isinstance(word, KeyExpired):
                    return "its key expired"
                if word is not None:
                    hear(word)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return f"closed ({socket.close_code})"

    async def _keep(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Prolong the key every so often; a key that can't be prolonged ends the connection."""
        while True:
            await self._clock.sleep(self._login.prolong_key_every_s)
            try:
                reply = await self._wire.http.ask("PUT", LISTEN_KEY, self._wire.headers)
            except BrokerUnavailable:
                continue  # it is good for an hour, and asked for twice within it
            if reply.status != 200:
                await socket.close()
                return


def _word(reader: EventReader, data: str) -> StreamWord | KeyExpired | None:
    try:
        return reader.read(data)
    except UNREADABLE:
        return None
