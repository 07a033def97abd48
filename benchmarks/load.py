"""Posts signals over raw connections: a client library would cost more than what it measures.

    python benchmarks/load.py http://127.0.0.1:8095/webhook --connections 64 --seconds 10

Each signal is another one, so each has to be stored. Three ways: `closed` (each connection sends
when it was answered), `open_loop` (at fixed moments, whatever the answers do; latency counts
from the planned moment), `at_once` (all in the same instant).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

import uvloop

from figures import percentile

SECRET = "bench-secret-7c51"
LANES = 100
_now = time.perf_counter


@dataclass(frozen=True)
class Target:
    """Where webhooks go."""

    host: str
    port: int
    path: str = "/webhook"

    @classmethod
    def of(cls, url: str) -> Target:
        """From an address; the path is /webhook unless it names another."""
        parts = urlsplit(url)
        path = parts.path if parts.path not in ("", "/") else "/webhook"
        return cls(parts.hostname or "127.0.0.1", parts.port or 80, path)


class Signals:
    """An endless supply of different signals as whole HTTP requests.

    Made by filling a pattern of fixed length: this must cost next to nothing. actions: taken in
    turn for each lane.
    """

    def __init__(self, target: Target, actions: Sequence[str] = ("buy", "sell")) -> None:
        self._patterns = [_pattern(target, action) for action in actions]
        self._run = f"{time.time_ns():x}"[-10:].encode()
        self._numbers = itertools.count()
        self._made_s, self._moment = 0.0, b""

    def next(self) -> tuple[int, bytes]:
        """Its number, and the request."""
        number = next(self._numbers)
        now_s = time.time()
        if now_s - self._made_s > 0.2:
            self._made_s = now_s
            self._moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%XZ").encode()
        lane, turn = number % LANES + 1, number // LANES
        pattern = self._patterns[turn % len(self._patterns)]
        return number, pattern % (lane, self._moment, self._run, number)


def _pattern(target: Target, action: str) -> bytes:
    signal = {
        "secret": SECRET,
        "action": action,
        "ticker": "SIM%03d",
        "contracts": 1,
        "timestamp": "%s",
        "order_id": "load-%s-%012d",
        "strategy": "benchmark",
        "portfolio": "bench",
    }
    body = json.dumps(signal).encode()
    length = len(body % (1, b"2026-01-01T00:00:00Z", b"0" * 10, 0))
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Answers:
    """What came back: latencies in the order of arrival, and statuses."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def good(self) -> int:
        """How many were answered 200, so are durable."""
        return self.statuses[200]

    @property
    def each_second(self) -> float:
        """Durable ones a second."""
        return self.good / self.seconds

    def ms(self, percent: float) -> float:
        """A percentile of the latencies."""
        return percentile(self.latencies_ms, percent)


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, answers: Answers, answered: Callable[[Connection, bytes], None]) -> None:
        self._answers = answers
        self._answered = answered
        self._received = b""
        self._since = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self.lost: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send(self, request: bytes, since: float) -> None:
        """Send one request; its latency counts from `since`."""
        assert self._transport is not None
        self._since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        start = received.lower().find(b"content-length:", 0, head) + 15
        length = int(received[start : received.find(b"\r\n", start)])
        if len(received) < head + 4 + length:
            return
        self._answers.latencies_ms.append((_now() - self._since) * 1000)
        self._answers.statuses[int(received[9:12])] += 1
        self._received = b""
        self._answered(self, received[head + 4 :])

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = error or ConnectionError("the server hung up")
        self._answered(self, b"")

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def _connect(
    targets: Sequence[Target],
    count: int,
    answers: Answers,
    answered: Callable[[Connection, bytes], None],
) -> list[Connection]:
    """So many connections, spread over the targets in turn."""
    loop = asyncio.get_running_loop()
    made = []
    for target in itertools.islice(itertools.cycle(targets), count):
        make = lambda: Connection(answers, answered)  # noqa: E731
        _, connection = await loop.create_connection(make, target.host, target.port)
        made.append(connection)
    return made


async def closed(
    target: Target,
    signals: Signals,
    *,
    connections: int,
    seconds: float | None = None,
    requests: int | None = None,
) -> Answers:
    """As fast as it answers, for so many seconds or until so many were sent."""
    answers, finished = Answers(), asyncio.Event()
    left, busy = requests or 1 << 60, connections
    until = _now() + seconds if seconds is not None else float("inf")

    def next_one(connection: Connection, _: bytes) -> None:
        nonlocal left, busy
        if left <= 0 or connection.lost is not None or (now := _now()) >= until:
            busy -= 1
            if busy == 0:
                finished.set()
            return
        left -= 1
        connection.send(signals.next()[1], now)

    made = await _connect([target], connections, answers, next_one)
    began = _now()
    until = began + seconds if seconds is not None else float("inf")
    for connection in made:
        next_one(connection, b"")
    await finished.wait()
    answers.seconds = _now() - began
    _end(made)
    return answers


async def open_loop(
    targets: Sequence[Target],
    signals: Signals,
    *,
    a_second: float,
    seconds: float,
    connections: int = 256,
    sent: Callable[[int, float], None] = lambda number, at: None,
    answered: Callable[[int, bytes], None] = lambda number, body: None,
) -> Answers:
    """At a fixed pace. What can't be sent because all connections wait counts as waiting, too.

    sent: told the number and the wall clock of each sending; answered: the number and the body.
    """
    answers, finished = Answers(), asyncio.Event()
    free: list[Connection] = []
    numbers: dict[Connection, int] = {}
    waiting: list[float] = []
    total, done = round(a_second * seconds), 0

    def back(connection: Connection, body: bytes) -> None:
        nonlocal done
        if connection.lost is not None:
            finished.set()
            return
        done += 1
        answered(numbers[connection], body)
        free.append(connection)
        if waiting:
            send(waiting.pop(0))
        if done == total:
            finished.set()

    def send(due: float) -> None:
        if not free:
            waiting.append(due)
            return
        connection = free.pop(0)
        number, request = signals.next()
        numbers[connection] = number
        sent(number, time.time())
        connection.send(request, due)

    made = await _connect(targets, connections, answers, back)
    free.extend(made)
    began = _now() + 0.05
    for n in range(total):
        due = began + n / a_second
        while (wait := due - _now()) > 0:
            await asyncio.sleep(wait)
        send(due)
    await asyncio.wait_for(finished.wait(), 30)
    answers.seconds = _now() - began
    _end(made)
    return answers


async def at_once(targets: Sequence[Target], signals: Signals, *, count: int) -> Answers:
    """All in the same instant, each on a connection of its own; latency counts from that."""
    answers, finished = Answers(), asyncio.Event()
    left = count

    def back(connection: Connection, _: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finished.set()

    made = await _connect(targets, count, answers, back)
    requests = [signals.next()[1] for _ in made]
    began = _now()
    for connection, request in zip(made, requests, strict=True):
        connection.send(request, began)
    await asyncio.wait_for(finished.wait(), 30)
    answers.seconds = _now() - began
    _end(made)
    return answers


def _end(made: Sequence[Connection]) -> None:
    lost = [connection.lost for connection in made if connection.lost is not None]
    for connection in made:
        connection.close()
    if lost:
        raise ConnectionError(f"{len(lost)} connections were lost: {lost[0]}")


def figures(answers: Answers) -> Iterator[tuple[str, object]]:
    """The figures of a run."""
    yield "requests", len(answers.latencies_ms)
    yield "a second", round(len(answers.latencies_ms) / answers.seconds)
    for percent in (50, 95, 99, 100):
        yield f"p{percent} ms", round(answers.ms(percent), 2)
    yield "statuses", dict(answers.statuses)


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    wish = parser.parse_args()
    target = Target.of(wish.url)
    sending = closed(target, Signals(target), connections=wish.connections, seconds=wish.seconds)
    for name, value in figures(uvloop.run(sending)):
        print(f"{name:10} {value}")


if __name__ == "__main__":
    main()
