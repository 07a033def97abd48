"""Databases to measure on, and pgbench beside them as the yardstick."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from onefill.embedded import binaries
from onefill.embedded.server import EmbeddedPostgres

# The signal log itself, index for index, under another name; and a row as the product writes it.
_YARDSTICK = "CREATE TABLE IF NOT EXISTS yardstick (LIKE signal_log INCLUDING ALL)"
_ROW = r"""\set lane random(1, 100)
\set n random(1, 1000000000000000)
INSERT INTO yardstick (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                       signal_second, payload, received_by)
VALUES (sha256((:client_id || ' ' || :n)::bytea), 'bench/SIM' || :lane, 'direct', 'BUY', 'bench',
        'SIM' || :lane, now(), date_trunc('second', now()),
        '{"action": "buy", "ticker": "SIM' || :lane || '", "contracts": 1, "timestamp": '
        || '"2026-01-01T00:00:00Z", "order_id": "load-0123456789-' || :n || '", '
        || '"strategy": "benchmark", "portfolio": "bench"}', 'bench')
ON CONFLICT (fingerprint, signal_second) DO NOTHING RETURNING id;
"""


class Databases:
    """Makes empty databases on one server, and drops them at the end."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._numbers = itertools.count(1)
        self._made: list[str] = []

    async def fresh(self) -> str:
        """The address of an empty database of its own."""
        name = f"onefill_bench_{os.getpid()}_{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name}")
        self._made.append(name)
        parts = urlsplit(self._server_url)
        return parts._replace(path=f"/{name}").geturl().replace(":///", "://@/", 1)

    async def drop(self) -> None:
        """Drop all that were made."""
        for name in self._made:
            await self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def _run(self, sql: str) -> None:
        await execute(self._server_url, sql)


@asynccontextmanager
async def databases(folder: Path, url: str | None) -> AsyncIterator[Databases]:
    """On the given server, or on an embedded one below the folder."""
    if url is None:
        async with EmbeddedPostgres(folder / "postgres") as embedded:
            yield Databases(embedded.url)
        return
    given = Databases(url)
    try:
        yield given
    finally:
        await given.drop()


async def execute(url: str, sql: str) -> None:
    """Run one statement."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def fetch(url: str, sql: str, *arguments: object) -> list[dict[str, Any]]:
    """The rows of one statement."""
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(sql, *arguments)]
    finally:
        await connection.close()


@dataclass(frozen=True)
class Yardstick:
    """What pgbench reached: durable rows a second, and the mean time of one, in ms."""

    a_second: float
    latency_ms: float


async def pgbench(url: str, folder: Path, *, clients: int, seconds: float) -> Yardstick:
    """Single-row inserts of the product's row, prepared, each a transaction."""
    await execute(url, _YARDSTICK)
    script = folder / "yardstick.sql"
    script.write_text(_ROW)
    command = [str(binaries.path("pgbench")), "-n", "-M", "prepared", "-f", str(script)]
    command += ["-c", str(clients), "-j", str(min(clients, 2)), "-T", str(max(1, round(seconds)))]
    process = await asyncio.create_subprocess_exec(
        *command, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    rate = re.search(r"tps = ([\d.]+)", output)
    latency = re.search(r"latency average = ([\d.]+)", output)
    if process.returncode or rate is None or latency is None:
        raise SystemExit(f"pgbench failed:\n{output}")
    return Yardstick(float(rate[1]), float(latency[1]))
