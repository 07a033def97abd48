"""The broker's list of contracts decides what every instance buys; the rules without one."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.world import World, send_until_accepted, world
from support import until

LISTING = {"ONEFILL_JOBS__LISTINGS_EVERY_S": "1"}


async def _list(here: World, *ends: date) -> None:
    """What the broker lists from now on; nothing where there is no end."""
    wish = {"listed": {"BANKNIFTY": {"expiries": [end.isoformat() for end in ends]}}}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}/settings", json=wish) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def _until_known(here: World, count: int) -> None:
    async def known() -> bool:
        rows = await here.rows(
            "SELECT FROM listed_contracts WHERE instrument = 'BANK_NIFTY' "
            "AND json_array_length(series::json) = $1",
            count,
        )
        return bool(rows)

    await until(known)


async def _bought(here: World, name: str, order_id: str) -> date:
    """The end of the contract that an entry buys."""
    async with aiohttp.ClientSession() as session:
        entry = bank_nifty("BASE_ENTRY", "Long_1", order_id)
        await send_until_accepted(session, here[name].url, entry)
        await here.until_all_ended()
        (row,) = await here.rows(
            "SELECT expiry, symbol, l.quantity FROM portfolio_positions p "
            "JOIN position_legs l USING (position_id) WHERE status = 'open' AND leg = 'ce'"
        )
        end: date = row["expiry"]
        assert f"BANKNIFTY{end:%d%b%y}".upper() in row["symbol"]
        leaving = bank_nifty("EXIT", "Long_1", f"{order_id} out")
        await send_until_accepted(session, here[name].url, leaving)
        await here.until_all_ended()
    return end


@pytest.mark.req("PF-23", "PF-25", "CTL-20")
async def test_entries_buy_what_the_broker_lists_whoever_decides_and_the_rules_without(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        by_rule = await _bought(here, "prod", "before")
        listed = by_rule - timedelta(days=2 if by_rule.day > 9 else -2)
        await _list(here, listed, by_rule + timedelta(days=70))
        await here.restart(**LISTING)
        await _until_known(here, 2)
        await until(lambda: here["prod"].logged("listed_unlike_the_rules"))
        assert await _bought(here, "prod", "listed") == listed
        # Another instance, while the broker answers nothing about its market.
        await here.fault(kind="error_before", match={"kind": "market", "path": "/api/v1/expiry"})
        await here.run("dev", **LISTING)
        here["prod"].kill()
        assert await _bought(here, "dev", "away") == listed
        # A list of last week is not trusted any more.
        await here.rows("UPDATE listed_contracts SET asked_at = now() - interval '8 days'")
        assert await _bought(here, "dev", "old") == by_rule
