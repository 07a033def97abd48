"""One account's signed requests to Binance, on the venue's own time."""

from __future__ import annotations

import contextlib
import hmac
from typing import TypeVar

import msgspec

from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import words
from onefill.brokers.http import Http, Reply
from onefill.brokers.meter import Meter
from onefill.brokers.outcome import UNREADABLE, excerpt
from onefill.brokers.venue_clock import VenueClock
from onefill.core.errors import BrokerUnavailable
from onefill.ports.clock import Clock

_Row = TypeVar("_Row")


class Wire:
    """Signs, asks and reads. What is asked here may be repeated; orders leave by `http.send_once`.

    time: the venue's clock; headers: what every request of the account carries. meter: what the
    account may still ask. hedged: whether the account is in hedge mode, as far as is known.
    """

    def __init__(self, login: BinanceAccount, clock: Clock, meter: Meter) -> None:
        self.hedged = False
        self._login = login
        self._secret = login.api_secret.encode()
        self.headers = {
            "X-MBX-APIKEY": login.api_key,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self.http = Http(
            login.base_url, clock, login.http, meter, source_address=login.source_address
        )
        self.time = VenueClock(clock, self.server_time_ms, login.resync_every_s)

    async def ask(self, path: str, parameters: str = "", method: str = "GET") -> Reply:
        """Ask under our signature; once more when it was refused for its time stamp.

        Raises BrokerUnavailable without an answer.
        """
        reply = await self._asked(method, path, parameters)
        refusal = words.refusal_of(reply) if reply.status == 400 else None
        if refusal is not None and refusal.code in words.OUTSIDE_WINDOW:
            self.time.doubt()
            reply = await self._asked(method, path, parameters)
        return reply

    async def ask_openly(self, target: str) -> Reply:
        """Ask what needs no signature. Raises BrokerUnavailable without an answer."""
        return await self.http.ask("GET", target, {})

    async def server_time_ms(self) -> int:
        """The venue's time in milliseconds since 1970. Raises BrokerUnavailable."""
        reply = await self.ask_openly("/fapi/v1/time")
        return self.read(reply, words.time_decoder).server_time

    def signed(self, parameters: str, timestamp_ms: int) -> str:
        """The parameters with window, time stamp and signature."""
        window = f"recvWindow={self._login.recv_window_ms}&timestamp={timestamp_ms}"
        stamped = f"{parameters}&{window}" if parameters else window
        signature = hmac.digest(self._secret, stamped.encode(), "sha256").hex()
        return f"{stamped}&signature={signature}"

    def read(self, reply: Reply, decoder: msgspec.json.Decoder[_Row]) -> _Row:
        """What a reply of 200 states. Raises BrokerUnavailable, with its words, for all others."""
        if reply.status == 200:
            with contextlib.suppress(*UNREADABLE):
                return decoder.decode(reply.body)
        raise BrokerUnavailable(
            broker="binance", account=self._login.account, said=self.quote(reply)
        )

    def quote(self, reply: Reply) -> str:
        """The reply in a line for people, without our key and secret."""
        return excerpt(reply, self._login.api_key, self._login.api_secret)

    async def _asked(self, method: str, path: str, parameters: str) -> Reply:
        await self.time.ready()
        query = self.signed(parameters, self.time.now_ms())
        return await self.http.ask(method, f"{path}?{query}", self.headers)
