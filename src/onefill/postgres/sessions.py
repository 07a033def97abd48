"""Short sessions for people's questions and actions, apart from the trade path's transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from onefill.core.errors import CommitUnknown
from onefill.postgres.faults import translated

Connection = Any
"""A pool's connection; asyncpg has no types."""

TIME_LIMIT_S = 5.0
_LOOK_FIRST = "Look at the present state; the same action may be repeated safely."


@asynccontextmanager
async def reading(pool: Any) -> AsyncIterator[Connection]:
    """One consistent snapshot, read only. Raises StoreUnavailable."""
    with translated():
        async with (
            asyncio.timeout(TIME_LIMIT_S),
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


@asynccontextmanager
async def writing(pool: Any) -> AsyncIterator[Connection]:
    """One transaction at READ COMMITTED: its writers lock the rows that they judge.

    Raises CommitUnknown whenever the store was lost, as nobody can say how far it came.
    """
    try:
        with translated(committing=True):
            async with (
                asyncio.timeout(TIME_LIMIT_S),
                pool.acquire() as connection,
                connection.transaction(),
            ):
                yield connection
    except CommitUnknown as unknown:
        unknown.remedy = _LOOK_FIRST
        raise
