"""Letting other tasks run, without any time passing."""

from __future__ import annotations

import asyncio


async def turn() -> None:
    """Let every task that is ready run once."""
    loop = asyncio.get_running_loop()
    reached: asyncio.Future[None] = loop.create_future()
    loop.call_soon(reached.set_result, None)
    await reached


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await turn()
