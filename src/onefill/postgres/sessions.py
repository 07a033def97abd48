"""Short sessions for people's questions and actions, apart from the trade path's transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from onefill.core.errors import CommitUnknown, StoreUnavailable

Connection = Any
"""A pool's connection; asyncpg has no types."""

TIME_LIMIT_S = 5.0
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
)


def _is_lost(error: BaseException) -> bool:
    # asyncpg's DataError (a wrong argument of ours) is an InterfaceError too, and a ValueError.
    return isinstance(error, _LOST) and not isinstance(error, ValueError)


@asynccontextmanager
async def reading(pool: Any) -> AsyncIterator[Connection]:
    """One consistent snapshot, read only. Raises StoreUnavailable."""
    try:
        async with (
            asyncio.timeout(TIME_LIMIT_S),
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection
    except Exception as error:
        if _is_lost(error):
            raise StoreUnavailable(cause=type(error).__name__) from error
        raise


@asynccontextmanager
async def writing(pool: Any) -> AsyncIterator[Connection]:
    """One transaction at READ COMMITTED: its writers lock the rows that they judge.

    Raises CommitUnknown whenever the store was lost, as nobody can say how far it came.
    """
    try:
        async with (
            asyncio.timeout(TIME_LIMIT_S),
            pool.acquire() as connection,
            connection.transaction(),
        ):
            yield connection
    except Exception as error:
        if _is_lost(error):
            raise CommitUnknown(
                remedy="Look at the present state; the same action may be repeated safely.",
                cause=type(error).__name__,
            ) from error
        raise
