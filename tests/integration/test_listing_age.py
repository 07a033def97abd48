"""How old a broker's list of contracts may be that a decision goes by (PF-23)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from trading_desk import Desk, situation_of
from trading_support import PostgresAuthority, holder, lead

ME = holder("a")


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.mark.req("PF-23")
@pytest.mark.parametrize(("hours", "is_good"), [(0, True), (7 * 24 - 1, True), (7 * 24 + 1, False)])
async def test_a_list_is_good_for_seven_days(
    postgres: PostgresAuthority, hours: int, is_good: bool
) -> None:
    desk = Desk(postgres, postgres.trading(ME), await lead(postgres, ME))
    await postgres.rows(
        "INSERT INTO listed_contracts (instrument, broker, asked_at, series) VALUES "
        "('SIM001', 'openalgo', clock_timestamp() - $1 * interval '1 hour', $2)",
        hours,
        '[["2026-12-29", 30]]',
    )
    seen = await situation_of(desk, (await desk.order("SIM001")).lane)
    assert bool(seen.listed) is is_good
