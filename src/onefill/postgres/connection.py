"""Connections that their loops keep: no pool between a hot loop and its server.

A pool resets a connection each time it is given back, which costs half of the throughput.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from onefill.core.errors import Bug, Fenced, StoreUnavailable, invariant
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.lease import LEADER, Holder
from onefill.postgres.faults import NotNow, translated

Row = Mapping[str, Any]
Inspect = Callable[[asyncpg.Connection], Awaitable[None]]

FENCE_SQL = (
    "SELECT 1 FROM leases WHERE resource = '{resource}' AND epoch = {epoch} AND NOT barred "
    "FOR KEY SHARE"
)
"""The first statement of every guarded transaction; no row means fenced off."""

_SERIALIZABLE = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
_NAME_BYTES_MAX = 63
_PATIENT = {
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    # Whoever waits for a lock never sees that nobody listens any more: one more would be left with
    # each handover and each broken line, until the server is full.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_FREELY_PLANNED = {"enable_seqscan": "on", "plan_cache_mode": "auto"}


def application_name(holder: Holder) -> str:
    """`onefill:{instance}:{boot}`, by which a taker ends this process's sessions, and no others.

    PostgreSQL keeps 63 bytes of ASCII: a long instance is cut, a boot never.
    """
    boot = holder.boot.hex
    instance = holder.instance.encode("ascii", "replace").decode().replace("?", "_")
    return f"onefill:{instance[: _NAME_BYTES_MAX - len(boot) - 9]}:{boot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting:
    """How to reach the database, and how long to wait for it.

    call_timeout_ms bounds each statement; idle_timeout_ms an open transaction whose owner is
    silent (paused, dead, cut off), which would block a takeover else (CTL-6). After a failed
    connection the next is tried no sooner than backoff_ms·2^n, half of it by chance, and half a
    second at the most: work goes on within two of the server's return (OPS-3). pooled: a
    transaction pooler stands before the server, and gives each transaction another session; so
    nothing rests on one, not even a single statement's two messages.
    inspect: sees each new connection before anybody uses it, and may refuse it (CTL-8).
    """

    url: str
    holder: Holder
    call_timeout_ms: int = 5_000
    connect_timeout_ms: int = 2_000
    idle_timeout_ms: int = 500
    backoff_ms: int = 50
    backoff_max_ms: int = 500
    pooled: bool = False
    inspect: Inspect | None = None

    @property
    def begin(self) -> str:
        """What opens a transaction."""
        if not self.pooled:
            return "BEGIN"
        return "BEGIN; " + "; ".join(f"SET LOCAL {n} = '{v}'" for n, v in self._safety.items())

    @property
    def session(self) -> dict[str, str]:
        """The settings of each session, whatever the server's defaults are."""
        named = {"application_name": application_name(self.holder)}
        if self.pooled:
            return named
        return {
            **named,
            **self._safety,
            "timezone": "UTC",
            "jit": "off",
            # Planned once, not again for each group; and since a plan may be older than the
            # table is large, by index only.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
        }

    @property
    def _safety(self) -> dict[str, str]:
        return {
            "statement_timeout": str(self.call_timeout_ms),
            "idle_in_transaction_session_timeout": str(self.idle_timeout_ms),
            "synchronous_commit": "on",
        }

    @property
    def statements_kept(self) -> int:
        """How many prepared statements a session keeps."""
        return 0 if self.pooled else 256

    async def connect(self) -> asyncpg.Connection:
        """A new connection. Raises StoreUnavailable."""
        with translated():
            connection = await asyncpg.connect(
                self.url,
                timeout=self.connect_timeout_ms / 1000,
                command_timeout=self.call_timeout_ms / 1000,
                statement_cache_size=self.statements_kept,
                max_cached_statement_lifetime=0,
                server_settings=self.session,
            )
        await self._inspected(connection)
        return connection

    async def connect_idle(self) -> asyncpg.Connection:
        """A new connection that may be idle, or wait in one statement, for as long as it likes.

        Raises StoreUnavailable.
        """
        timeout, session = self.connect_timeout_ms / 1000, {**self.session, **_PATIENT}
        with translated():
            return await asyncpg.connect(self.url, timeout=timeout, server_settings=session)

    async def _inspected(self, connection: asyncpg.Connection) -> None:
        if self.inspect is None:
            return
        try:
            with translated():
                await self.inspect(connection)
        except BaseException:
            connection.terminate()
            raise


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


async def open_views(
    connecting: Connecting, connections_min: int, connections_max: int
) -> asyncpg.Pool:
    """A pool for what people look at; its sessions may scan, and plan by what is asked.

    Raises StoreUnavailable.
    """
    with translated():
        return await asyncpg.create_pool(
            connecting.url,
            min_size=connections_min,
            max_size=connections_max,
            timeout=connecting.connect_timeout_ms / 1000,
            command_timeout=connecting.call_timeout_ms / 1000,
            statement_cache_size=connecting.statements_kept,
            server_settings=connecting.session | ({} if connecting.pooled else _FREELY_PLANNED),
            init=connecting.inspect,
        )
