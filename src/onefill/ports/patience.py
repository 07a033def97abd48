"""Waiting for an answer no longer than it is worth, by a loop that may itself be late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from onefill.core.errors import StoreUnavailable

T = TypeVar("T")

LAST_TURNS = 5
"""How often the loop goes round after the time is up: its sockets are read, who waited for them is
woken, and may have to go on once or twice until the answer is whole."""


async def answered(call: Awaitable[T], within_s: float) -> T:
    """The answer of a store, or StoreUnavailable when there is none within the time.

    On a machine that is short of time the loop stands still for longer than a call may take. It
    then finds the time up before it has read the answer that lies in its socket: an answer in
    time, whose loss costs the connection too. So it looks there first. How long an answer is good
    for is for the caller to judge, from before its question.
    """
    asking = asyncio.ensure_future(call)
    asking.add_done_callback(_heard)
    try:
        await asyncio.wait({asking}, timeout=within_s)
        await caught_up(asking.done)
        if not asking.done():
            raise StoreUnavailable("the store did not answer in time")
        return asking.result()
    finally:
        await _ended(asking)


async def caught_up(is_done: Callable[[], bool]) -> None:
    """Let a loop that is late read what has come meanwhile, before anybody is told that it is too
    late: until it is done, and for a few turns at the most."""
    for _ in range(LAST_TURNS):
        if is_done():
            return
        await asyncio.sleep(0)


async def _ended(asking: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and return when it has tidied up."""
    if not asking.done():
        asking.cancel()
        await asyncio.wait({asking})


def _heard(asking: asyncio.Future[Any]) -> None:
    """It may fail in the very moment in which nobody waits for it any more."""
    if not asking.cancelled():
        asking.exception()
