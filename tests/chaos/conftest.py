"""Servers of a test's own, to be stopped, killed, paused and put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import PostgresServer


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL that no other test stands on."""
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()
