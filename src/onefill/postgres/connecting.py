"""How sessions are opened: what each may wait for, what they are named, who inspects them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from onefill.ports.lease import Holder
from onefill.postgres.faults import translated

Inspect = Callable[[asyncpg.Connection], Awaitable[None]]

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
