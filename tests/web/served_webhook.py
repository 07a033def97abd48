"""The real webhook on a real server and real sockets, over a signal log in memory."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import httpx

from memory_signal_log import MemorySignalLog
from onefill.core.ids import Lane
from onefill.core.intake.signal_time import Zones
from onefill.core.masking import Mask
from onefill.flow.awaiting import Awaiting, Ended
from onefill.flow.intake import Intake
from onefill.node.logs import set_up_logs
from onefill.ports.clock import RealClock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.metrics import Metrics
from onefill.web.app import Application
from onefill.web.asgi import App, Receive, Scope, Send
from onefill.web.health import Health, Probes
from onefill.web.metrics import MetricsPage
from onefill.web.rate_limit import Rate
from onefill.web.server import WebServer
from onefill.web.webhook import Webhook, WebhookParts
from onefill.web.webhook_auth import Door, Secrets, Senders

SECRET = "the-first-of-two-secrets"
OTHER_SECRET = "the-second-of-two-secrets"


async def no_api(scope: Scope, receive: Receive, send: Send) -> None:
    """An API that fails at every request."""
    raise ValueError("a defect that names " + SECRET)


@dataclass(kw_only=True)
class Served:
    """How a test wants its webhook, and what it can look at afterwards."""

    secrets: Mapping[str, str] = field(default_factory=lambda: {"a": SECRET, "b": OTHER_SECRET})
    senders: Senders = field(default_factory=Senders)
    rate: Rate | None = None
    rejects: Callable[[], str | None] = lambda: None
    api: Callable[[], App] = lambda: no_api
    health: Health = field(default_factory=lambda: Health(instance="test", state="STANDBY"))
    log: MemorySignalLog = field(default_factory=MemorySignalLog)
    lanes: Inbox[Lane] = field(default_factory=Inbox)
    ended: Topic[Ended] = field(default_factory=Topic)
    metrics: Metrics = field(default_factory=Metrics)
    lines: io.StringIO = field(default_factory=io.StringIO)
    port: int = 0
    server: WebServer = field(init=False)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Served]:
        """Serve until the block ends."""
        set_up_logs(instance="test", secrets=self.secrets.values(), as_json=True, stream=self.lines)
        clock = RealClock()
        intake = Intake(signal_log=self.log, lanes=self.lanes, metrics=self.metrics, clock=clock)
        awaiting = Awaiting(signal_log=self.log, ended=self.ended, clock=clock)
        webhook = Webhook(
            WebhookParts(
                intake=intake,
                awaiting=awaiting,
                door=Door(Secrets(self.secrets), self.senders),
                zones=Zones.named({"BANK_NIFTY": "Asia/Kolkata"}),
                mask=Mask(self.secrets.values()),
                metrics=self.metrics,
                clock=clock,
                rate=self.rate,
                rejects=self.rejects,
            )
        )
        page = MetricsPage(self.metrics, lambda scope: b"viewer" in dict(scope["headers"]))
        routes = {**Probes(lambda: self.health).routes, "/metrics": page}
        self.server = server = WebServer(
            Application(webhook=webhook, routes=routes, api=self.api), host="127.0.0.1", port=0
        )
        loops = [asyncio.create_task(intake.run()), asyncio.create_task(awaiting.run())]
        self.port = await server.start()
        try:
            yield self
        finally:
            self.log.gate.set()
            await server.stop()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    def client(self, **options: object) -> httpx.AsyncClient:
        """An HTTP client of it."""
        url = f"http://127.0.0.1:{self.port}"
        wanted = {"timeout": 60, **options}
        return httpx.AsyncClient(base_url=url, verify=False, **wanted)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare connection to it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @property
    def logged(self) -> list[dict[str, object]]:
        """Its log lines."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


def order(number: int = 1, **changes: object) -> dict[str, object]:
    """The least body of the direct policy, with its secret."""
    return {
        "secret": SECRET,
        "action": "buy",
        "ticker": "SIM001",
        "contracts": 1,
        "timestamp": "2026-01-15T09:15:00Z",
        "order_id": f"o-{number}",
        **changes,
    }


def without_secret(number: int = 1, **changes: object) -> dict[str, object]:
    """The same without its secret."""
    body = order(number, **changes)
    del body["secret"]
    return body


def raw_post(body: dict[str, object]) -> bytes:
    """A whole HTTP request with this body."""
    text = json.dumps(body).encode()
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One whole HTTP response: status, headers in small letters, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    lines = [line.partition(": ") for line in head[1:] if line]
    headers = {name.lower(): value for name, _, value in lines}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, body
