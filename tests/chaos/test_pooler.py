"""Behind a transaction pooler no session is ours: leases alone notice a death, and all holds."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

import support
from chaos.test_control_failover import leader_of
from chaos.world import direct, send_until_accepted, world
from severed import severed

# Few server sessions, so that clients do share them; what belongs to a
# session is refused, as PgBouncer does unless told otherwise.
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
"""


@asynccontextmanager
async def pooled(database_url: str) -> AsyncIterator[str]:
    """The address of a PgBouncer in transaction mode before this database."""
    program = support.require("pgbouncer")
    async with severed(database_url) as line:
        parts = urlsplit(line.url)
        port = support.free_port()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            settings = Path(folder) / "pgbouncer.ini"
            settings.write_text(
                SETTINGS.format(server_port=parts.port, user=parts.username, port=port)
            )
            process = subprocess.Popen(
                [program, "-q", settings], user="nobody" if os.getuid() == 0 else None
            )
            try:
                url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
                await support.until(lambda: _answers(url))
                yield url
            finally:
                process.kill()
                process.wait()


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


@pytest.mark.req("CTL-5", "CTL-1", "CTL-11")
async def test_two_instances_trade_hand_over_and_succeed_behind_a_pooler(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        pooled(database_url) as url,
        world(database_url, tmp_path) as here,
        aiohttp.ClientSession() as session,
    ):
        settings = {"ONEFILL_DATABASE_URL": url, "ONEFILL_DATABASE__POOLED": "true"}
        await here.run("prod", "dev", **settings)
        await here.until_active("prod")
        for number in range(10):
            await send_until_accepted(
                session, here["dev"].url, direct(f"before {number}", f"SIM00{number % 3 + 1}")
            )
        assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 202
        await here.until_active("dev")
        here["dev"].kill()
        assert await leader_of(here, "prod") == "prod"
        for number in range(10):
            await send_until_accepted(
                session, here["prod"].url, direct(f"after {number}", f"SIM00{number % 3 + 1}")
            )
        await here.judge(signals=20)
        reigns = [(reign["instance"], reign["reason"]) for reign in await here.reigns()]
        assert reigns == [("prod", "election"), ("dev", "takeover"), ("prod", "failover")]


@pytest.mark.req("CTL-5", "OPS-1")
async def test_a_pooler_that_nobody_told_of_is_named_at_the_start(
    database_url: str, tmp_path: Path
) -> None:
    async with pooled(database_url) as url, world(database_url, tmp_path) as here:
        here.start(ONEFILL_DATABASE_URL=url)
        assert await here.instance.ended() > 0
        assert "database.pooled = true" in here.instance.tail()
