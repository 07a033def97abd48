"""Each contract runs on every store that promises it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from onefill.embedded import binaries
from redis_authority import RedisAuthority
from redis_servers import KINDS as REDIS_KINDS
from redis_servers import redis_server_of
from trading_desk import Desk
from trading_support import Authority, PostgresAuthority, holder, lead

OLDER = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def older_postgres_server(postgres_server: Any) -> Iterator[Any]:
    """Debian's PostgreSQL 15: nothing newer than 14 may be needed."""
    if not OLDER.is_dir():
        pytest.skip("PostgreSQL 15 of Debian is not installed")
    with tempfile.TemporaryDirectory(prefix="onefill-15-") as folder:
        server = type(postgres_server)(Path(folder) / "postgres")
        with pytest.MonkeyPatch.context() as m:  # for the start only: other tests have their own
            m.setattr(binaries, "_folder", lambda: OLDER)
            server.start()
        yield server
        server.stop()


@pytest.fixture(params=["postgres-18", "postgres-15", *REDIS_KINDS])
async def authority(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Authority]:
    """An empty store of each kind that promises the trade path."""
    if request.param in REDIS_KINDS:
        with redis_server_of(request.param, tmp_path_factory.mktemp("redis")) as redis_server:
            await redis_server.up()
            redis = RedisAuthority(redis_server.url)
            yield redis
            await redis.close()
        return
    older = request.param == "postgres-15"
    server = request.getfixturevalue("older_postgres_server" if older else "postgres_server")
    name = server.create_database()
    postgres = PostgresAuthority(server.url_of(name))
    yield postgres
    await postgres.close()
    server.drop_database(name)


@pytest.fixture
async def desk(authority: Authority) -> Desk:
    """An instance that leads."""
    me = holder("a")
    return Desk(authority, authority.trading(me), await lead(authority, me))
