"""The wire: bytes leave once or not at all, and we know which."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from broker_support import (
    HANG_UP,
    SILENCE,
    SOURCE,
    ManualClock,
    RawServer,
    address_of,
    http_reply,
    intent_for,
)
from onefill.brokers.http import Http, HttpLimits, Reply
from onefill.core.errors import BrokerUnavailable
from onefill.core.orders.report import NotSent, Unknown
from onefill.ports.broker import Prepared
from onefill.ports.clock import Clock, RealClock
from support import until

OK = http_reply(200, b"{}")


def prepared_for(url: str, clock: Clock, send_within_ms: int = 2_000) -> Prepared:
    return Prepared(
        intent=intent_for("binance"),
        attempt=1,
        method="POST",
        url=f"{url}/order",
        headers={"X-KEY": "secret-key"},
        body=b"secret-body",
        signed_at=datetime(2026, 1, 5, tzinfo=UTC),
        expires_at=None,
        anchored_ms=clock.boottime_ms(),
        send_within_ms=send_within_ms,
        request_hash=b"",
    )


@contextlib.asynccontextmanager
async def http_to(url: str, clock: Clock, **limits: int) -> AsyncIterator[Http]:
    http = Http(url, clock, HttpLimits(**limits))
    await http.start()
    try:
        yield http
    finally:
        await http.close()


@pytest.mark.req("ORD-3")
async def test_a_socket_that_is_ready_only_after_the_deadline_is_not_written_to() -> None:
    clock = ManualClock()
    server = RawServer(replies=[SILENCE, OK])
    async with server.running(), http_to(server.url, clock, connections_max=1) as http:
        first = asyncio.create_task(http.send_once(prepared_for(server.url, clock)))

        async def first_is_out() -> bool:
            return len(server.requests) == 1

        await until(first_is_out)
        second = asyncio.create_task(http.send_once(prepared_for(server.url, clock)))
        await asyncio.sleep(0)
        clock.advance(2_000)
        first.cancel()
        assert isinstance(await second, NotSent)
    assert len(server.requests) == 1


@pytest.mark.req("ORD-3")
async def test_a_connection_that_opens_too_late_carries_not_one_byte() -> None:
    clock = ManualClock()
    server = RawServer()
    async with server.running(), http_to(server.url, clock) as http:
        sending = asyncio.create_task(http.send_once(prepared_for(server.url, clock)))
        await asyncio.sleep(0)  # it has looked at the clock, and is connecting now
        clock.advance(2_000)
        assert isinstance(await sending, NotSent)

        async def hung_up() -> bool:
            return server.ended == 1

        await until(hung_up)
    assert server.requests == []


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """The address of a listener that completes no more connections."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield address_of(listener)


@pytest.mark.req("ORD-3")
async def test_a_connection_that_never_opens_is_given_up_at_the_deadline(
    full_backlog: str,
) -> None:
    clock = RealClock()
    async with http_to(full_backlog, clock) as http:
        outcome = await http.send_once(prepared_for(full_backlog, clock, send_within_ms=100))
    assert isinstance(outcome, NotSent)


@pytest.mark.req("ORD-3")
async def test_a_refused_connection_is_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = address_of(bound)
        async with http_to(url, ManualClock()) as http:
            outcome = await http.send_once(prepared_for(url, ManualClock()))
    assert isinstance(outcome, NotSent)
    assert "refused" in outcome.detail


@pytest.mark.req("ORD-3")
async def test_a_request_past_its_deadline_does_not_even_connect() -> None:
    clock = ManualClock()
    server = RawServer()
    async with server.running(), http_to(server.url, clock) as http:
        late = prepared_for(server.url, clock)
        clock.advance(2_000)
        assert isinstance(await http.send_once(late), NotSent)
    assert server.connections == 0


@pytest.mark.req("ORD-3", "ORD-5")
async def test_a_hang_up_on_a_reused_connection_is_unknown_and_sent_once() -> None:
    clock = ManualClock()
    server = RawServer(replies=[OK, HANG_UP, OK])
    async with server.running(), http_to(server.url, clock) as http:
        assert isinstance(await http.send_once(prepared_for(server.url, clock)), Reply)
        assert isinstance(await http.send_once(prepared_for(server.url, clock)), Unknown)
    assert len(server.posts_to("/order")) == 2
    assert server.connections == 1


@pytest.mark.req("ORD-5")
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"\x00\xff not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_a_broken_answer_is_unknown(reply: bytes) -> None:
    clock = ManualClock()
    server = RawServer(replies=[reply, HANG_UP])
    async with server.running(), http_to(server.url, clock, reply_within_ms=200) as http:
        assert isinstance(await http.send_once(prepared_for(server.url, clock)), Unknown)
    assert len(server.posts_to("/order")) == 1


@pytest.mark.req("ORD-5", "ORD-11")
async def test_an_answer_that_does_not_come_in_time_is_unknown() -> None:
    clock = ManualClock()
    server = RawServer(replies=[SILENCE])
    async with server.running(), http_to(server.url, clock, reply_within_ms=100) as http:
        outcome = await http.send_once(prepared_for(server.url, clock, send_within_ms=100))
    assert isinstance(outcome, Unknown)


@pytest.mark.req("ORD-5")
async def test_an_answer_without_end_is_unknown() -> None:
    clock = ManualClock()
    server = RawServer(replies=[http_reply(200, b"x" * 2_000)])
    async with server.running(), http_to(server.url, clock, reply_bytes_max=1_000) as http:
        assert isinstance(await http.send_once(prepared_for(server.url, clock)), Unknown)


@pytest.mark.req("ORD-5")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    clock = ManualClock()
    moved = b"HTTP/1.1 %d Moved\r\nLocation: /order\r\nContent-Length: 0\r\n\r\n" % status
    server = RawServer(replies=[moved, OK])
    async with server.running(), http_to(server.url, clock) as http:
        reply = await http.send_once(prepared_for(server.url, clock))
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert reply.headers["location"] == "/order"
    assert len(server.requests) == 1


@pytest.mark.req("ORD-3")
async def test_headers_and_body_leave_exactly_as_prepared() -> None:
    clock = ManualClock()
    server = RawServer(replies=[OK])
    async with server.running(), http_to(server.url, clock) as http:
        await http.send_once(prepared_for(server.url, clock))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"secret-body"
    assert b"X-KEY: secret-key" in head


async def test_failures_and_reprs_never_tell_secrets() -> None:
    clock = ManualClock()
    server = RawServer(replies=[HANG_UP, HANG_UP, HANG_UP])
    async with server.running(), http_to(server.url, clock) as http:
        prepared = prepared_for(server.url, clock)
        outcome = await http.send_once(prepared)
        with pytest.raises(BrokerUnavailable) as failure:
            await http.ask("GET", "/order?signature=secret-signature", {"X-KEY": "secret-key"})
    assert "secret" not in f"{outcome!r} {prepared!r} {failure.value} {failure.value!r}"


SENDER = """
import asyncio, sys
sys.path.insert(0, sys.argv[3])
from onefill.brokers.http import Http, HttpLimits
from onefill.ports import failpoints
from onefill.ports.clock import RealClock
from unit.brokers.test_http import prepared_for
from support import until

async def main():
    failpoints.arm(sys.argv[2])
    clock = RealClock()
    http = Http(sys.argv[1], clock, HttpLimits())
    await http.start()
    await http.send_once(prepared_for(sys.argv[1], clock))

if sys.argv[4] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.req("ORD-3")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("point", "sent"), [("send_before", 0), ("send_after", 1)])
async def test_a_process_killed_around_its_write_has_sent_nothing_or_all(
    point: str, sent: int, loop: str
) -> None:
    server = RawServer(replies=[SILENCE])
    tests = str(SOURCE.parent / "tests")
    async with server.running():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SENDER, server.url, point, tests, loop),
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            stderr=subprocess.PIPE,
        )
        _, errors = await process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()

        async def over() -> bool:
            return server.connections == 1 and len(server.requests) + server.ended == 1

        await until(over)
    assert [body.partition(b"\r\n\r\n")[2] for body in server.requests] == [b"secret-body"] * sent
