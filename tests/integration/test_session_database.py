"""The fixtures that give each test a database of its own."""

from __future__ import annotations

import asyncpg
import pytest


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_each_test_has_a_database_of_its_own(database_url: str, turn: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE only_here (turn text)")
    await connection.execute("INSERT INTO only_here VALUES ($1)", turn)
    assert await connection.fetchval("SELECT count(*) FROM only_here") == 1
    await connection.close()


def test_a_plain_test_can_use_it_too(database_url: str) -> None:
    assert database_url.startswith("postgresql://onefill@/test_")
