"""Numbered SQL files, applied forward only, each in one transaction, by one process at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import asyncpg

from onefill.core.errors import OnefillError
from onefill.postgres.faults import translated

_LOCK_KEY = 0x0F111
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)"""

_NOTE = "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)"


class MigrationChanged(OnefillError):
    """A migration that this database has applied was edited afterwards."""

    remedy = "Restore the file as it was, and put the change into a new migration."


class SchemaTooNew(OnefillError):
    """A newer program has removed what this one needs."""

    remedy = "Run the newer program, or restore the database from before it."


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. Its phase is in its name: `.pre.sql` adds only, so that older programs go on;
    `.post.sql` removes, so that they must not."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def bundled() -> tuple[Migration, ...]:
    """The migrations that this program brings, in order."""
    folder = resources.files("onefill.postgres") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(Migration(file.name, file.read_text(encoding="utf-8")) for file in files)


async def migrate(url: str, migrations: tuple[Migration, ...] | None = None) -> list[str]:
    """Apply what is pending, and say what was; two processes at once do it once.

    Raises MigrationChanged, SchemaTooNew, StoreUnavailable.
    """
    wanted = bundled() if migrations is None else migrations
    connection = await _connect(url)
    done: list[str] = []
    try:
        with translated(committing=True):
            while (name := await _apply_next(connection, wanted)) is not None:
                done.append(name)
    finally:
        await connection.close()
    return done


async def pending(url: str, migrations: tuple[Migration, ...] | None = None) -> list[str]:
    """What `migrate` would apply. Raises as it does; changes nothing."""
    wanted = bundled() if migrations is None else migrations
    connection = await _connect(url)
    try:
        with translated():
            async with connection.transaction():
                known = await connection.fetchval("SELECT to_regclass('schema_migrations')")
                applied = {} if known is None else await _applied(connection)
    finally:
        await connection.close()
    return [migration.name for migration in _pending(wanted, applied)]


def _pending(wanted: tuple[Migration, ...], applied: Mapping[str, str]) -> tuple[Migration, ...]:
    for migration in wanted:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationChanged(migration=migration.name)
    known = {migration.name for migration in wanted}
    removing = [name for name in applied if name not in known and name.endswith(".post.sql")]
    if removing:
        raise SchemaTooNew(migrations=", ".join(removing))
    return tuple(migration for migration in wanted if migration.name not in applied)


async def _apply_next(connection: asyncpg.Connection, wanted: tuple[Migration, ...]) -> str | None:
    """Apply the first that is pending, each in a transaction of its own; its name."""
    async with connection.transaction():
        # Of the transaction, not of the session: behind a pooler, a session is nobody's.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
        await connection.execute(_TABLE)
        todo = _pending(wanted, await _applied(connection))
        if not todo:
            return None
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        await connection.execute(todo[0].sql)
        await connection.execute(_NOTE, todo[0].name, todo[0].checksum)
    return todo[0].name


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
    return {row["name"]: row["checksum"] for row in rows}


async def _connect(url: str) -> asyncpg.Connection:
    with translated():
        return await asyncpg.connect(
            url,
            timeout=10,
            statement_cache_size=0,
            server_settings={"application_name": "onefill:migrate"},
        )
