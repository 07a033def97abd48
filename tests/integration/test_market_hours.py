"""The last door and the hours of the market, on a real database: by its clock, in each claim."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from trading_desk import Desk
from trading_support import PostgresAuthority, holder, lead

pytestmark = pytest.mark.req("SIG-18", "ORD-3")
ME = holder("a")


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.fixture
async def desk(postgres: PostgresAuthority) -> Desk:
    return Desk(postgres, postgres.trading(ME), await lead(postgres, ME))


async def test_what_would_come_to_a_closed_market_stays_unsent_and_goes_when_it_opens(
    desk: Desk, postgres: PostgresAuthority
) -> None:
    shut, other = await desk.order("SIM001"), await desk.order("SIM002")
    postgres.is_shut = lambda instrument, _: instrument == "SIM001"
    assert await desk.claim(shut, other) == ["shut", "claimed"]
    assert [intent.client_order_id for intent in await desk.store.claimable(9)] == [
        shut.client_order_id
    ]
    postgres.is_shut = lambda _instrument, _moment: False
    assert await desk.claim(shut) == ["claimed"]


async def test_an_order_that_might_arrive_after_the_close_is_not_sent_before_it(
    desk: Desk, postgres: PostgresAuthority
) -> None:
    order = await desk.order()
    closes = await desk.store.now() + timedelta(seconds=4)  # it may be sent within five
    postgres.is_shut = lambda _, moment: moment >= closes
    assert await desk.claim(order) == ["shut"]


async def test_a_replay_is_bound_to_no_hours_of_today(
    desk: Desk, postgres: PostgresAuthority
) -> None:
    order = await desk.order()
    postgres.is_shut = lambda _instrument, _moment: True
    await postgres.rows("UPDATE portfolio_state SET time_basis = 'signal'")
    assert await desk.claim(order) == ["claimed"]


async def test_a_cancel_is_held_up_by_no_hours(desk: Desk, postgres: PostgresAuthority) -> None:
    order = await desk.order()
    postgres.is_shut = lambda _instrument, _moment: True
    await postgres.rows(
        "UPDATE order_intents SET verb = 'cancel', target = client_order_id, target_order_id = '1'"
    )
    assert await desk.claim(order) == ["claimed"]
