"""What a failed call to PostgreSQL means: not there, perhaps written, or refused for its data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from onefill.core.errors import (
    Bug,
    CommitUnknown,
    ConfigurationError,
    OnefillError,
    StoreUnavailable,
)
from onefill.keeping.apart import RowsRefused


class PoolerInTheWay(ConfigurationError):
    """A pooler stands before PostgreSQL: what onefill keeps in a session is lost there."""

    remedy = (
        "Give onefill a direct address, so that a death is noticed at once; or set "
        "database.pooled = true, and it is noticed when the lease runs out."
    )


class NotNow(StoreUnavailable):
    """Refused as it stands now: nothing of it is written, its connection is sound, and the same
    again may succeed."""


class Conflicted(NotNow):
    """A serializable transaction met what another one wrote meanwhile."""


class YearMissing(NotNow):
    """A row's year has no partition yet. Never a fault of the row: it must not be set apart."""

    remedy = "Make the year's partition, and write the row again."


_LOST = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
)
"""After these nobody knows how far the server came with what it was asked."""

_ALL = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
)

_UNABLE = ("25", "28", "3D", "40", "53", "54", "55", "57", "58")
"""SQLSTATE classes that say: not now, and nothing was written."""


def meaning(error: Exception, *, committing: bool) -> OnefillError:
    """The product's error for one of asyncpg's or of the operating system's.

    committing: whether a COMMIT, or a statement that commits by itself, was on its way.
    """
    if _is_of_a_pooler(error):
        return PoolerInTheWay(cause=repr(error))
    if isinstance(error, asyncpg.CheckViolationError) and error.constraint_name is None:
        return YearMissing(cause=repr(error))
    if isinstance(
        error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | ValueError
    ):
        return RowsRefused(str(error))
    if isinstance(error, asyncpg.SerializationError):
        return Conflicted(cause=repr(error))
    if isinstance(error, _LOST) or _is_broken(error):
        kind = CommitUnknown if committing else StoreUnavailable
        return kind(cause=repr(error))
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _UNABLE:
        return StoreUnavailable(cause=repr(error))
    return Bug(f"PostgreSQL does not understand onefill: {error!r}")


@contextlib.contextmanager
def translated(*, committing: bool = False) -> Iterator[None]:
    """Let only the product's own errors out."""
    try:
        yield
    except _ALL as error:
        raise meaning(error, committing=committing) from error


def _is_of_a_pooler(error: Exception) -> bool:
    """Settings of a session are refused, or its prepared statements are not there."""
    return (
        isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error)
    ) or isinstance(
        error, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError
    )


def _is_broken(error: Exception) -> bool:
    """asyncpg says only in words that a connection ended under it."""
    return isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)
