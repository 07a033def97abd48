"""Whatever comes over the wire: no 500, no hang, and the next request is served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from web.served_webhook import SECRET, Served, order, raw_post, read_answer

pieces = st.sampled_from(
    (
        *(b"POST /webhook HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"POST /webhook/%zz HTTP/1.0\r\n"),
        *(b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"5\r\n{}   \r\n", b"0\r\n\r\n", b"ffffffff\r\n"),
        *(
            b"X-Signature: sha256=\xff\r\n",
            b"X-Forwarded-For: \xfe\r\n",
            b"Expect: 100-continue\r\n",
        ),
        *(b"Upgrade: websocket\r\nConnection: upgrade\r\n", json.dumps(order()).encode()),
    )
)
wires = st.lists(pieces | st.binary(max_size=20), max_size=10).map(b"".join)
bodies = st.dictionaries(
    st.sampled_from(("action", "ticker", "contracts", "timestamp", "price", "type", "test", "a")),
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
)


def over(inputs: st.SearchStrategy[bytes], examples: int) -> Callable[..., Callable[[], None]]:
    """Run the coroutine for many inputs against one server."""

    def decorate(
        check: Callable[[Served, bytes], Coroutine[None, None, None]],
    ) -> Callable[[], None]:
        def test() -> None:
            with asyncio.Runner() as runner:
                serving = Served().running()
                served = runner.run(serving.__aenter__())

                @settings(
                    max_examples=examples,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                )
                @given(inputs)
                def run(data: bytes) -> None:
                    runner.run(asyncio.wait_for(check(served, data), 60))

                try:
                    run()
                finally:
                    runner.run(serving.__aexit__(None, None, None))

        return test

    return decorate


@over(wires, 150)
async def _check_wire(served: Served, data: bytes) -> None:
    async with served.socket() as (reader, writer):
        writer.write(data)
        writer.write_eof()
        answers = await reader.read()
    assert b" 500 " not in answers
    async with served.socket() as (reader, writer):
        writer.write(raw_post(order()))
        assert (await read_answer(reader))[0] == 200


@over(st.binary(max_size=200) | bodies.map(lambda body: json.dumps(body).encode()), 300)
async def _check_body(served: Served, data: bytes) -> None:
    async with served.socket() as (reader, writer):
        head = f"POST /webhook/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        status, _, body = await read_answer(reader)
    assert status in (200, 400, 401)
    assert json.loads(body)


@pytest.mark.req("Q-5")
def test_any_bytes_on_the_wire_are_survived() -> None:
    _check_wire()


@pytest.mark.req("Q-5", "SIG-6")
def test_any_body_gets_an_answer_that_is_no_500() -> None:
    _check_body()
