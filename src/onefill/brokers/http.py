"""The wire to one broker: one connection pool, one write per send, a deadline for every call.

What goes out counts more than what comes back: `send_once` always knows whether its bytes may
have left. Nothing here reads a status or a body; that is each broker's own business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload
from yarl import URL

from onefill.brokers.meter import Meter
from onefill.core.errors import BrokerUnavailable, OnefillError, invariant
from onefill.core.orders.report import NotSent, Unknown
from onefill.ports.broker import Prepared
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach

_HEARTBEAT_S = 15.0
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "onefill"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How long and how much. idle_s stays below the 5 s after which common servers hang up:
    a request that crosses a hang-up has an unknown outcome."""

    reply_within_ms: int = 10_000
    idle_s: float = 4.0
    connections_max: int = 100
    reply_bytes_max: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a broker answered, untouched."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _DeadlinePassed(OnefillError):
    """The socket became ready too late, and nothing was written to it."""


class _ReplyTooLarge(OnefillError):
    """The reply is larger than any that makes sense."""


class _Gate:
    """The last check before a request's bytes reach the socket; remembers whether it opened."""

    __slots__ = ("_clock", "_deadline_ms", "opened")

    def __init__(self, clock: Clock, deadline_ms: float) -> None:
        self._clock = clock
        self._deadline_ms = deadline_ms
        self.opened = False

    def open(self) -> None:
        """Let the bytes through, once. Raises _DeadlinePassed, and then nothing is written."""
        reach(Failpoint.SEND_BEFORE)
        if self._clock.boottime_ms() >= self._deadline_ms:
            raise _DeadlinePassed
        invariant(not self.opened, "a prepared request is written once")
        self.opened = True


class _GatedBody(BytesPayload):
    """A body that asks its gate in the very step that writes headers and body to the socket.

    aiohttp holds the headers back until the body's first write, so that when the gate stays
    shut, not one byte has left.
    """

    def __init__(self, body: bytes, gate: _Gate) -> None:
        super().__init__(body)
        self._gate = gate

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write all of it, or nothing."""
        self._gate.open()
        await super().write_with_length(writer, content_length)
        reach(Failpoint.SEND_AFTER)


class Http:
    """One account's connections to one broker, kept alive and verified by TLS where it is https.

    Both ways out (`send_once`, `ask`) meet in `_exchange`.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        limits: HttpLimits,
        meter: Meter | None = None,
        *,
        source_address: str = "",
    ) -> None:
        self._source = (source_address, 0) if source_address else None
        self.meter = meter or Meter(base_url, clock)
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the connection pool; nothing is connected yet."""
        if self._session is not None:
            return
        connector = aiohttp.TCPConnector(
            limit=self._limits.connections_max,
            keepalive_timeout=self._limits.idle_s,
            ttl_dns_cache=60,
            local_addr=self._source,
            # The machine's own, whatever else is installed: aiohttp would pick another one.
            resolver=aiohttp.ThreadedResolver(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send_once(self, prepared: Prepared) -> Reply | Unknown | NotSent:
        """Write the prepared bytes to one socket, once, unless their deadline passes before.

        NotSent is a proof: no byte was written. Everything else that goes wrong is Unknown.
        Source: ORD-3, ORD-5.
        """
        if self.meter.is_held:
            return NotSent(detail="the broker told the account to wait, meanwhile")
        deadline_ms = prepared.anchored_ms + prepared.send_within_ms
        gate = _Gate(self._clock, deadline_ms)
        wait_s = (deadline_ms - self._clock.boottime_ms()) / 1_000
        if wait_s <= 0:
            return NotSent(detail="the deadline for sending had passed before a connection was had")
        timeout = aiohttp.ClientTimeout(
            total=wait_s + self._limits.reply_within_ms / 1_000, connect=wait_s
        )
        body = _GatedBody(prepared.body, gate)
        try:
            return await self._exchange(
                prepared.method, prepared.url, prepared.headers, body, timeout
            )
        except Exception as error:  # the gate alone decides what any failure means
            if gate.opened:
                return Unknown(detail=f"no usable answer: {_describe(error)}")
            return NotSent(detail=f"nothing was written: {_describe(error)}")

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Ask something that changes nothing and may be repeated.

        target: path and query, percent-encoded. Raises BrokerUnavailable without an answer, and
        where the broker's rate limit leaves no room.
        """
        path = target.partition("?")[0]
        await self.meter.admit(path)
        timeout = aiohttp.ClientTimeout(total=self._limits.reply_within_ms / 1_000)
        payload = BytesPayload(body) if body is not None else None
        try:
            return await self._exchange(method, self.base_url + target, headers, payload, timeout)
        except Exception as error:
            raise BrokerUnavailable(
                asked=f"{method} {self.base_url}{path}", cause=_describe(error)
            ) from None

    @contextlib.asynccontextmanager
    async def listen(self, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket that notices by its own pings when the other side is gone.

        Raises BrokerUnavailable where it can't be had. The URL may hold a key: no error quotes it.
        """
        if self._session is None:
            raise BrokerUnavailable("the connections to this broker are closed")
        try:
            async with asyncio.timeout(self._limits.reply_within_ms / 1_000):
                socket = await self._session.ws_connect(
                    url, heartbeat=_HEARTBEAT_S, max_msg_size=self._limits.reply_bytes_max
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise BrokerUnavailable("no stream", cause=_describe(error)) from None
        try:
            yield socket
        finally:
            await socket.close()

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: BytesPayload | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Reply:
        # aiohttp repeats requests by itself only for idempotent methods on a reused connection,
        # and on redirects: orders are POSTs, and redirects are off.
        if self._session is None:
            raise BrokerUnavailable("the connections to this broker are closed")
        async with self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            content = await _read(response, self._limits.reply_bytes_max)
            await self.meter.heed(response.status, response.headers)
            return Reply(response.status, response.headers, content)


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > bytes_max:
            raise _ReplyTooLarge(bytes_max=bytes_max)
        chunks.append(chunk)
    return b"".join(chunks)


def _describe(error: BaseException) -> str:
    """The kind of failure. Never its own words: they may quote a signed URL or a body."""
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OSError | OnefillError):
        cause = cause.__cause__
    if isinstance(cause, BrokerUnavailable | _DeadlinePassed | _ReplyTooLarge):
        return str(cause)
    if isinstance(cause, OSError) and cause.errno:
        return f"{type(error).__name__}: {os.strerror(cause.errno)}"
    return type(error).__name__
