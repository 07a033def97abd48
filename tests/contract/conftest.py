"""Each contract runs on every store that promises it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from onefill.embedded import binaries
from trading_desk import Desk
from trading_support import PostgresAuthority, holder, lead

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


@pytest.fixture(params=["postgres-18", "postgres-15"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database on each version of PostgreSQL."""
    older = request.param == "postgres-15"
    server = request.getfixturevalue("older_postgres_server" if older else "postgres_server")
    name = server.create_database()
    yield server.url_of(name)
    server.drop_database(name)


@pytest.fixture
async def authority(database_url: str) -> AsyncIterator[PostgresAuthority]:
    """The store under test. Other implementations join as further parameters."""
    postgres = PostgresAuthority(database_url)
    yield postgres
    await postgres.close()


@pytest.fixture
async def desk(authority: PostgresAuthority) -> Desk:
    """An instance that leads."""
    me = holder("a")
    return Desk(authority, authority.trading(me), await lead(authority, me))
