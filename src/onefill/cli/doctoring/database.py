"""PostgreSQL: reachable, durable, the primary, direct, with a true clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from onefill.cli.doctoring.finding import Finding, fail, ok, skew, warn
from onefill.core.errors import OnefillError
from onefill.ports.clock import Clock

OLDEST = 140_000
"""server_version_num of PostgreSQL 14."""
_CONNECT_S = 5.0
_SKEW_MS = 1000
_TRANSACTIONS = 8
_NAME = "onefill doctor"
_SESSION = "SELECT pg_backend_pid(), current_setting('application_name')"
_FACTS = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS number,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int AS max_connections,
       pg_is_in_recovery() AS is_standby
"""


async def database(url: str, clock: Clock, pooled: bool) -> AsyncIterator[Finding]:
    """Look at the database of this address; empty is the embedded one."""
    if not url:
        yield _embedded()
        return
    try:
        # No statement cache: behind a transaction pooler it would fail before we can say why.
        connection = await asyncpg.connect(url, timeout=_CONNECT_S, statement_cache_size=0)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        remedy = "Start PostgreSQL, or mend ONEFILL_DATABASE_URL."
        yield fail("database", f"is not reachable: {_why(error)}", remedy)
        return
    try:
        facts = await connection.fetchrow(_FACTS)
        for finding in _settings(facts):
            yield finding
        yield await _clock(connection, clock)
        yield await _directness(connection, pooled)
    finally:
        await connection.close(timeout=_CONNECT_S)


def _embedded() -> Finding:
    from onefill.embedded import binaries

    try:
        return ok("database", f"embedded: {binaries.path('postgres')}")
    except OnefillError as error:
        return fail("database", str(error), error.remedy)


def _settings(facts: asyncpg.Record) -> list[Finding]:
    found = [ok("database", f"PostgreSQL {facts['version']}")]
    if facts["number"] < OLDEST:
        found = [fail("database", f"PostgreSQL {facts['version']} is too old", "Use 14 or later.")]
    if facts["is_standby"]:
        remedy = "Name the primary: add target_session_attrs=read-write and all hosts to the URL."
        found.append(fail("primary", "this server is a standby", remedy))
    else:
        found.append(ok("primary", "this server takes writes"))
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        found.append(_durability(name, facts[name]))
    return found


def _durability(name: str, value: str) -> Finding:
    if value == "off" or (name == "synchronous_commit" and value == "local"):
        remedy = f"Set {name} = on: what is acknowledged must survive a power cut."
        return fail(name, value, remedy)
    return ok(name, value)


async def _clock(connection: asyncpg.Connection, clock: Clock) -> Finding:
    before = clock.wall()
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    middle = before + (clock.wall() - before) / 2
    return skew("database clock", (theirs - middle).total_seconds() * 1000, worst_ms=_SKEW_MS)


async def _directness(connection: asyncpg.Connection, pooled: bool) -> Finding:
    """A transaction pooler gives each transaction whatever server session is free: locks and
    settings of a session would be lost, and prepared statements."""
    seen = set()
    await connection.execute(f"SET application_name = '{_NAME}'")
    for _ in range(_TRANSACTIONS):
        async with connection.transaction():
            seen.add(await connection.fetchrow(_SESSION))
    if pooled:
        quicker = "Connect directly, and unset database.pooled: a death is then noticed at once."
        return warn("connection", "pooled: leases alone notice a dead leader", quicker)
    remedy = "Connect directly, or set database.pooled = true."
    if len(seen) > 1 or any(name != _NAME for _, name in seen):
        return fail("connection", "goes through a transaction pooler", remedy)
    if any(pid != connection.get_server_pid() for pid, _ in seen):
        return warn("connection", "goes through a pooler", remedy)
    return ok("connection", "direct: one session keeps its server process")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
