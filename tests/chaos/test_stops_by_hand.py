"""A guarded position at a broker without reduce-only orders, closed by hand: its stop, and its
exit, would open the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chaos.acting import by_hand
from chaos.signals import gold_mini
from chaos.world import World, send_until_accepted, world
from onefill.core.intent import Side
from support import until

NEVER = {"ONEFILL_ORDERS__WATCH_STOPS_EVERY_S": "3600"}


async def _send(here: World, body: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here.instance.url, body)


async def _held(here: World) -> Decimal:
    """What the exchange holds of it, signed."""
    held: Counter[str] = Counter()
    for execution in (await here.ledger())["executions"]:
        held[execution["side"]] += int(float(execution["quantity"]))
    return Decimal(held["BUY"] - held["SELL"])


async def _working_stops(here: World) -> int:
    query = "SELECT count(*) FROM order_intents WHERE action = 'stop' AND state = 'ACKED'"
    return int((await here.rows(query))[0]["count"])


async def _price(here: World, price: int) -> None:
    body = {"symbol": "GOLDM", "price": str(price)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}/price", json=body) as answer,
    ):
        assert answer.status == 200


@asynccontextmanager
async def closed_by_hand(
    database_url: str, folder: Path, *, leaves: int = 0, **settings: str
) -> AsyncIterator[World]:
    """A guarded position of several lots, of which a person has left that many."""
    guarded = {"ONEFILL_INSTRUMENTS__GOLD_MINI__PROTECTIVE_STOP": "true", **settings}
    async with world(database_url, folder, **guarded) as here:
        await here.restart()
        await here.until_active("prod")
        await _send(here, gold_mini("BASE_ENTRY", "Long_1", "one"))

        async def is_guarded() -> bool:
            return await _working_stops(here) == 1

        await until(is_guarded)
        (leg,) = await here.rows("SELECT symbol, bought_quantity AS held FROM position_legs")
        assert leg["held"] >= 200
        sold = {"symbol": leg["symbol"], "exchange": "MCX", "side": Side.SELL}
        quantity = leg["held"] - 100 * leaves
        await by_hand(here, "closes", "openalgo", quantity=quantity, **sold)
        assert await _held(here) == 100 * leaves
        yield here


async def _ends_by_hand(here: World) -> None:
    """A person has the difference booked: the position ends, and nothing of it waits there."""
    await here.told("prod", "reconcile", "--apply", "--note", "closed by phone")

    async def ended() -> bool:
        return not await here.rows("SELECT FROM portfolio_positions WHERE status <> 'closed'")

    await until(ended)
    assert await _held(here) == 0

    async def none_waits() -> bool:
        return await _working_stops(here) == 0

    await until(none_waits)


@pytest.mark.req("PF-11", "ORD-9")
@pytest.mark.parametrize("leaves", [0, pytest.param(1, marks=pytest.mark.long)])
async def test_a_stop_that_guards_nothing_any_more_is_cancelled_within_seconds_and_told(
    database_url: str, tmp_path: Path, leaves: int
) -> None:
    often = {"ONEFILL_ORDERS__WATCH_STOPS_EVERY_S": "1"}
    async with closed_by_hand(database_url, tmp_path, leaves=leaves, **often) as here:

        async def cancelled() -> bool:
            return await _working_stops(here) == 0

        await until(cancelled)
        await until(lambda: here.instance.logged("CRITICAL.*its stop there is cancelled"))
        await until(lambda: here.instance.logged("GOLDM.*reconciler.difference"))
        await _price(here, 77_400)
        assert await _held(here) == 100 * leaves
        if not leaves:
            await _ends_by_hand(here)


@pytest.mark.req("PF-11", "PF-12", "ORD-9")
async def test_an_exit_that_would_make_the_stop_trade_finds_that_nothing_is_held(
    database_url: str, tmp_path: Path
) -> None:
    async with closed_by_hand(database_url, tmp_path, **NEVER) as here:
        await _send(here, gold_mini("EXIT", "Long_1", "two"))

        async def refused() -> bool:
            query = "SELECT FROM order_intents WHERE action = 'close' AND state = 'REJECTED'"
            return bool(await here.rows(query))

        await until(refused)
        assert await _held(here) == 0
        await _ends_by_hand(here)
        await here.until_all_ended()


@pytest.mark.req("PF-11", "ORD-9")
async def test_a_stop_that_did_open_the_other_side_is_told_at_once(
    database_url: str, tmp_path: Path
) -> None:
    async with closed_by_hand(database_url, tmp_path, **NEVER) as here:
        await _price(here, 77_400)
        assert await _held(here) < 0
        await until(lambda: here.instance.logged("GOLDM.*reconciler.difference"))
