"""Connections that their loops keep: no pool between a hot loop and its server.

A pool resets a connection each time it is given back, which costs half of the throughput.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from onefill.core.errors import Bug, Fenced, StoreUnavailable, invariant
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.lease import LEADER
from onefill.postgres.connecting import Connecting
from onefill.postgres.faults import NotNow, translated

Row = Mapping[str, Any]

FENCE_SQL = (
    "SELECT 1 FROM leases WHERE resource = '{resource}' AND epoch = {epoch} AND NOT barred "
    "FOR KEY SHARE"
)
"""The first statement of every guarded transaction; no row means fenced off."""

_SERIALIZABLE = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"


@dataclass(slots=True)
class Reach:
    """When a connection of this process was last opened, on the boot-time clock: what one has
    reached, no other one waits any longer for."""

    at_ms: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a reconnecting connection needs of the world; jitter gives numbers in [0, 1).

    reach: shared by all connections to one server.
    """

    clock: Clock
    jitter: Callable[[], float]
    reach: Reach = field(default_factory=Reach)


class Transaction:
    """Statements between BEGIN and COMMIT."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *arguments: object) -> list[Row]:
        """The rows of one statement. Raises StoreUnavailable, or RowsRefused for bad rows."""
        with translated():
            rows: list[Row] = await self._connection.fetch(sql, *arguments)
        return rows


class Held:
    """One direct connection, kept for one loop, opened again after a break; its users queue.

    greeting: a question that each new connection is asked first; its one row is `greeted`.
    """

    def __init__(self, connecting: Connecting, around: Surroundings, greeting: str = "") -> None:
        self._connecting = connecting
        self._around = around
        self._greeting = greeting
        self._greeted: Row | None = None
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._failures = 0
        self._failed_ms = self._not_before_ms = 0.0

    @property
    def greeted(self) -> Row | None:
        """The last answer to the greeting on the connection that is open; None while none is."""
        is_open = self._connection is not None and not self._connection.is_closed()
        return self._greeted if is_open else None

    async def greet(self) -> None:
        """Ask the greeting again. Raises StoreUnavailable."""
        [self._greeted] = await self.read(self._greeting)

    async def read(self, sql: str, *arguments: object) -> list[Row]:
        """The rows of a statement that changes nothing. Raises StoreUnavailable."""
        return await self._run(sql, arguments, committing=False)

    async def write(self, sql: str, *arguments: object) -> list[Row]:
        """The rows of a statement that commits by itself.

        Raises StoreUnavailable, CommitUnknown when it may have been written, RowsRefused when
        its rows can't be.
        """
        return await self._run(sql, arguments, committing=True)

    @contextlib.asynccontextmanager
    async def transaction(
        self,
        before: Failpoint | None = None,
        after: Failpoint | None = None,
        *,
        serializable: bool = False,
    ) -> AsyncIterator[Transaction]:
        """A transaction that commits when the block ends well. Raises CommitUnknown there.

        serializable: as if nobody else wrote meanwhile. Raises Conflicted when somebody did.
        """
        first = _SERIALIZABLE if serializable else ""
        async with self._opened(first, before, after) as (transaction, _):
            yield transaction

    @contextlib.asynccontextmanager
    async def guarded(
        self,
        epoch: Epoch | None,
        before: Failpoint | None = None,
        after: Failpoint | None = None,
        *,
        serializable: bool = False,
    ) -> AsyncIterator[Transaction]:
        """A transaction of that epoch: it commits before the next epoch exists, or not at all.

        Without an epoch it is a plain one. Raises Fenced when the epoch is over (CTL-1), and
        Conflicted as `transaction` does.
        """
        if epoch is None:
            async with self.transaction(before, after, serializable=serializable) as plain:
                yield plain
            return
        fence = FENCE_SQL.format(resource=LEADER, epoch=int(epoch))
        if serializable:
            fence = f"{_SERIALIZABLE}; {fence}"
        async with self._opened(fence, before, after) as (transaction, tag):
            if tag != "SELECT 1":
                raise Fenced(epoch=epoch)
            yield transaction

    async def close(self) -> None:
        """Let the connection go, after whoever uses it now; the next use opens another."""
        async with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                    await connection.close(timeout=1)

    @contextlib.asynccontextmanager
    async def _opened(
        self, first: str, before: Failpoint | None = None, after: Failpoint | None = None
    ) -> AsyncIterator[tuple[Transaction, str]]:
        opening = f"{self._connecting.begin}; {first}"
        async with self._turn:
            connection = await self._connected()
            with self._dropped_when_unsound(connection):
                try:
                    with translated():
                        tag = await connection.execute(opening)
                    yield Transaction(connection), tag
                except NotNow:
                    await _roll_back(connection)
                    raise
                except (StoreUnavailable, Bug):
                    raise  # the connection is dropped, and its transaction with it
                except Exception:
                    await _roll_back(connection)
                    raise
                await _commit(connection, before, after)

    async def _run(self, sql: str, arguments: tuple[object, ...], *, committing: bool) -> list[Row]:
        if self._connecting.pooled:
            async with self._opened("") as (transaction, _):
                return await transaction.fetch(sql, *arguments)
        async with self._turn:
            connection = await self._connected()
            with self._dropped_when_unsound(connection), translated(committing=committing):
                rows: list[Row] = await connection.fetch(sql, *arguments)
                return rows

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._backs_off():
            raise StoreUnavailable("PostgreSQL did not answer just now; backing off.")
        try:
            self._connection = await self._opened_and_greeted()
        except StoreUnavailable:
            self._back_off()
            raise
        self._failures = 0
        self._around.reach.at_ms = self._around.clock.boottime_ms()
        return self._connection

    async def _opened_and_greeted(self) -> asyncpg.Connection:
        connection = await self._connecting.connect()
        if self._greeting:
            with self._dropped_when_unsound(connection), translated():
                async with connection.transaction():
                    self._greeted = await connection.fetchrow(self._greeting)
        return connection

    def _backs_off(self) -> bool:
        is_early = self._around.clock.boottime_ms() < self._not_before_ms
        return is_early and self._around.reach.at_ms < self._failed_ms

    def _back_off(self) -> None:
        longest = self._connecting.backoff_max_ms
        delay_ms = min(longest, self._connecting.backoff_ms * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        chance = 0.5 + self._around.jitter() / 2
        self._failed_ms = self._around.clock.boottime_ms()
        self._not_before_ms = self._failed_ms + delay_ms * chance

    @contextlib.contextmanager
    def _dropped_when_unsound(self, connection: asyncpg.Connection) -> Iterator[None]:
        """A connection on which a call was cut off is in an unknown state: never used again."""
        try:
            yield
        except NotNow:
            raise
        except (StoreUnavailable, Bug):
            self._drop(connection)
            raise
        except Exception:
            if connection.is_in_transaction():
                self._drop(connection)
            raise
        except BaseException:
            self._drop(connection)
            raise

    def _drop(self, connection: asyncpg.Connection) -> None:
        connection.terminate()
        if self._connection is connection:
            self._connection = None


async def _roll_back(connection: asyncpg.Connection) -> None:
    if connection.is_closed() or not connection.is_in_transaction():
        return
    with contextlib.suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
        await connection.execute("ROLLBACK")


async def _commit(
    connection: asyncpg.Connection, before: Failpoint | None, after: Failpoint | None
) -> None:
    if before is not None:
        reach(before)
    with translated(committing=True):
        tag = await connection.execute("COMMIT")
    invariant(tag == "COMMIT", "a transaction without an error commits", tag=tag)
    if after is not None:
        reach(after)
