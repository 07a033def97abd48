"""A loop that stands still, as on a machine that gives its process no time."""

from __future__ import annotations

import asyncio
import socket
import time


async def answered_in_a_socket(stall_s: float) -> None:
    """Wait for a byte that comes while the loop, at other sockets, stands still for so long."""
    loop = asyncio.get_running_loop()
    (ours, theirs), (busy, other) = socket.socketpair(), socket.socketpair()
    seen: asyncio.Future[None] = loop.create_future()

    def stand_still() -> None:
        loop.remove_reader(busy)
        theirs.send(b"1")
        over = time.monotonic() + stall_s
        while time.monotonic() < over:
            """As where the machine gives this process no time."""

    with ours, theirs, busy, other:
        loop.add_reader(ours, lambda: seen.done() or seen.set_result(None))
        loop.add_reader(busy, stand_still)
        other.send(b"1")
        try:
            await seen
        finally:
            loop.remove_reader(ours)
