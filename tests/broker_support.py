"""What the tests of brokers share: intents, a paper venue as a process, a raw-socket server."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from onefill.core.ids import client_order_id, lane_of
from onefill.core.intent import IntentState, OrderIntent, OrderRequest, Side
from onefill.ports.broker import Prepared

SOURCE = Path(__file__).resolve().parent.parent / "src"
OPTION = "BANKNIFTY29JAN3060000CE"
_numbers = itertools.count(1)


def intent_for(broker: str, **order: Any) -> OrderIntent:
    """A new intent with an id of its own: buys at market unless told otherwise."""
    is_binance = broker == "binance"
    wish: dict[str, Any] = {
        "broker": broker,
        "account": "paper",
        "symbol": "SIM001" if is_binance else OPTION,
        "exchange": "" if is_binance else "NFO",
        "side": Side.BUY,
        "quantity": Decimal(2) if is_binance else Decimal(30),
    } | order
    source = f"{os.getpid()}-{next(_numbers)}"
    return OrderIntent(
        client_order_id=client_order_id("tst", source, "leg", "open", 1),
        lane=lane_of("p", wish["symbol"]),
        portfolio="p",
        instrument=wish["symbol"],
        source=source,
        leg="leg",
        action="open",
        n=1,
        order=OrderRequest(**wish),
        adds_exposure=True,
    )


def in_doubt(prepared: Prepared) -> OrderIntent:
    """The intent as the store has it once this attempt was claimed, and its answer lost."""
    return replace(
        prepared.intent,
        state=IntentState.IN_DOUBT,
        attempt=prepared.attempt,
        signed_at=prepared.signed_at,
        expires_at=prepared.expires_at,
        witnessed=prepared.witnessed,
    )


class ManualClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now_ms = 1_000.0
        self.wall_clock = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
        self.sleepers: list[asyncio.Future[None]] = []
        self.asleep = asyncio.Event()

    def wall(self) -> datetime:
        return self.wall_clock

    def boottime_ms(self) -> float:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self.sleepers.append(sleeper)
        self.asleep.set()
        await sleeper

    def advance(self, milliseconds: float) -> None:
        self.now_ms += milliseconds

    def step_wall(self, hours: int) -> None:
        self.wall_clock += timedelta(hours=hours)

    def wake(self) -> None:
        for sleeper in self.sleepers:
            sleeper.set_result(None)
        self.sleepers.clear()
        self.asleep.clear()


class PaperVenue:
    """A paper venue in a process of its own; its ledger is the judge."""

    def __init__(self, data: Path, broker_class: str) -> None:
        self.broker_class = broker_class
        arguments = ["--host", "127.0.0.1", "--port", "0", "--data", str(data)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "onefill.venue", *arguments, "--class", broker_class],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def fault(self, kind: str, **fields: Any) -> None:
        """Let the next order meet this fault."""
        self.call("POST", "/faults", {"kind": kind, "next": 1} | fields)

    def executions(self, intent: OrderIntent) -> int:
        """How often the intent's order was executed."""
        mine = intent.client_order_id
        return sum(e["client_order_id"] == mine for e in self.call("GET", "/ledger")["executions"])

    def reset(self) -> None:
        self.call("DELETE", "/faults")
        self.call("POST", "/clock", {"offset_ms": 0})
        self.call("POST", "/price", {"symbol": "SIM001", "price": "100"})
        plain = {"lean": False, "fill_at_most": None, "spread": "0", "funds": None}
        self.call("POST", "/settings", plain)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


def signed(venue: PaperVenue, method: str, path: str, **params: object) -> Any:
    """What the venue answers to a customer of its own making."""
    now = venue.call("GET", "/fapi/v1/time")["serverTime"]
    query = urlencode({**params, "timestamp": now})
    signature = hmac.digest(b"paper", query.encode(), "sha256").hex()
    return venue.call(method, f"{path}?{query}&signature={signature}")


@pytest.fixture(scope="session")
def paper_venues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], PaperVenue]]:
    """The paper venue of a class, started when first asked for."""
    venues: dict[str, PaperVenue] = {}

    def venue(broker_class: str) -> PaperVenue:
        if broker_class not in venues:
            venues[broker_class] = PaperVenue(tmp_path_factory.mktemp("venue"), broker_class)
        return venues[broker_class]

    yield venue
    for each in venues.values():
        each.close()


def http_reply(
    status: int, body: bytes | dict[str, Any] | list[Any], retry_after_s: int = 0
) -> bytes:
    """The bytes of an HTTP reply; one that says `too much` wants no pause unless told."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d Whatever\r\nRetry-After: %d\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        retry_after_s,
        len(content),
        content,
    )


def address_of(listener: socket.socket) -> str:
    """The URL of a listener on this machine."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


HANG_UP = b""
"""For RawServer.replies: close the connection without an answer."""

SILENCE = None
"""For RawServer.replies: never answer."""


@dataclass
class RawServer:
    """Answers with the exact bytes that it is told, and keeps what it was sent.

    fixed: answers by path, as often as asked; replies: one for each other request.
    """

    fixed: dict[str, bytes] = field(default_factory=dict)
    replies: list[bytes | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    url: str = ""

    def posts_to(self, path: str) -> list[bytes]:
        """The bodies posted to this path."""
        start = f"POST {path} ".encode()
        return [r.partition(b"\r\n\r\n")[2] for r in self.requests if r.startswith(start)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.url = address_of(server.sockets[0])
        self._talks: set[asyncio.Task[None]] = set()
        try:
            yield self
        finally:
            server.close()
            talks = list(self._talks)
            for talk in talks:
                talk.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except asyncio.IncompleteReadError as error:
            self.requests += [error.partial] if error.partial else []
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.ended += 1
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._talks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = await self._request(reader)
            reply = self.fixed[path] if path in self.fixed else self.replies.pop(0)
            if reply is SILENCE:
                await asyncio.Event().wait()
            if not reply:
                return
            writer.write(reply)
            await writer.drain()

    async def _request(self, reader: asyncio.StreamReader) -> str:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        sizes = [line.split(":")[1] for line in lines if line.lower().startswith("content-length")]
        body = await reader.readexactly(int(sizes[0])) if sizes else b""
        self.requests.append(head + body)
        return lines[0].split()[1].partition("?")[0]
