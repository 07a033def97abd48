"""One real PostgreSQL for the whole session, and a fresh database on it for each test."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from postgres_server import PostgresServer

# A busy machine is no failure: properties are judged by what holds, never by how long it took.
settings.register_profile("onefill", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("onefill")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The product's loop: its lines break with other errors than asyncio's own."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL, durable like the product's own; started when first asked for."""
    with tempfile.TemporaryDirectory(prefix="onefill-tests-") as folder:
        server = PostgresServer(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh, migrated database, dropped after the test."""
    name = postgres_server.create_database()
    yield postgres_server.url_of(name)
    postgres_server.drop_database(name)
