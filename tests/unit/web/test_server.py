"""How answers leave the process."""

from __future__ import annotations

import asyncio

import pytest

from onefill.web.server import Gathering
from support import until


class Recorder(asyncio.Transport):
    """Notes what is sent, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("closed")


@pytest.mark.req("P-1")
async def test_the_head_and_the_body_of_an_answer_are_sent_as_one() -> None:
    transport = Recorder()
    gathering = Gathering(transport)
    gathering.write(b"head ")
    gathering.write(b"body")
    await until(lambda: transport.calls)
    gathering.write(b"next")
    await until(lambda: len(transport.calls) > 1)
    assert transport.calls == [b"head body", b"next"]


async def test_what_was_written_is_sent_before_the_connection_closes_and_only_once() -> None:
    transport = Recorder()
    gathering = Gathering(transport)
    gathering.write(b"answer")
    gathering.close()
    await asyncio.get_running_loop().create_task(_nothing())
    assert transport.calls == [b"answer", "closed"]


async def _nothing() -> None:
    """Takes one turn of the loop."""
