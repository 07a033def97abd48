"""Posts signals as fast as a server answers, over a fixed number of connections.

    python benchmarks/load.py http://127.0.0.1:8095/webhook --connections 64 --requests 100000

Prints requests a second and the latencies of the answers. Each signal is another one, so each
has to be stored. Raw sockets: a client library would cost more than the server it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import uvloop


@dataclass
class Load:
    """What is to be sent, and what came back."""

    host: str
    port: int
    path: str
    secret: str | None
    left: int
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def next_request(self) -> bytes | None:
        """The next signal as a whole HTTP request; None when all are sent."""
        if self.left == 0:
            return None
        self.left -= 1
        signal = {
            "action": "buy",
            "ticker": f"SIM{self.left % 100 + 1:03d}",
            "contracts": 1,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "order_id": f"load-{self.left}-{time.time_ns()}",
            "strategy": "benchmark",
        }
        if self.secret:
            signal["secret"] = self.secret
        body = json.dumps(signal).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends one request after the other, each when the answer before is complete."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._load.latencies_ms.append((time.perf_counter() - self._sent_at) * 1000)
        self._load.statuses[int(head[9:12])] += 1
        self._received = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionError("the server hung up"))

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self.finished.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


async def run(load: Load, connections: int) -> float:
    """Send everything; the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Connection(load), load.host, load.port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.finished for _, protocol in made))
    return time.perf_counter() - began


def report(load: Load, seconds: float) -> dict[str, object]:
    """The figures of a run."""
    cuts = statistics.quantiles(load.latencies_ms, n=100)
    return {
        "requests": len(load.latencies_ms),
        "rps": round(len(load.latencies_ms) / seconds),
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "max_ms": round(max(load.latencies_ms), 2),
        "statuses": dict(load.statuses),
    }


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--secret")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    url = urlsplit(arguments.url)
    load = Load(
        url.hostname or "127.0.0.1",
        url.port or 80,
        url.path or "/webhook",
        arguments.secret,
        arguments.requests,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = report(load, runner.run(run(load, arguments.connections)))
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:10} {value}")


if __name__ == "__main__":
    main()
