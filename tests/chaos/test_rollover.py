"""A position rolls at a real venue, its process dies at each step: one close, one open."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.world import World, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

# Four orders: buy back the put, sell the call; then buy the next call, sell the next put.
ON_THE_WAY = [
    f"{Failpoint.DECIDE_BEFORE_COMMIT}:1",
    f"{Failpoint.DECIDE_AFTER_COMMIT}:1",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:3",
    *(f"{Failpoint.SEND_AFTER}:{n}" for n in (2, 3)),
    f"{Failpoint.SETTLE_BEFORE_COMMIT}:4",
]
AND_ALL_THE_OTHERS = [
    *(f"{Failpoint.CLAIM_BEFORE_COMMIT}:{n}" for n in (1, 2, 4)),
    *(f"{Failpoint.SEND_AFTER}:{n}" for n in (1, 4)),
    *(f"{Failpoint.SETTLE_BEFORE_COMMIT}:{n}" for n in (2, 6)),
]

# Sixty days before its end a contract is to be left: the one that the entry took is.
ROLLS = {
    "ONEFILL_INSTRUMENTS__BANK_NIFTY__ROLLOVER_DAYS": "60",
    "ONEFILL_JOBS__ROLLOVER_EVERY_S": "1",
}


async def _entered(here: World) -> None:
    here.start()
    await here.instance.up()
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(
            session, here.instance.url, bank_nifty("BASE_ENTRY", "Long_1", "one")
        )
    await _until_status(here, "open")
    here.instance.kill()


async def _until_status(here: World, status: str, rolled: int = 0) -> None:
    async def found() -> bool:
        rows = await here.rows(
            "SELECT FROM portfolio_positions WHERE status = $1 AND rollover_count = $2",
            status,
            rolled,
        )
        return bool(rows)

    await until(found, 30)


async def _net(here: World) -> Counter[str]:
    net: Counter[str] = Counter()
    for execution in (await here.ledger())["executions"]:
        sign = 1 if execution["side"] == "BUY" else -1
        net[execution["symbol"]] += sign * int(float(execution["quantity"]))
    return net


@pytest.mark.req("PF-24", "OPS-1")
@pytest.mark.parametrize(
    "point",
    ["", *ON_THE_WAY, *(pytest.param(p, marks=pytest.mark.long) for p in AND_ALL_THE_OTHERS)],
)
async def test_a_rollover_closes_once_and_opens_once_whoever_dies(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await _entered(here)
        before = await _net(here)
        here.start(**ROLLS, ONEFILL_FAILPOINT=point)
        if point:
            assert await here.instance.ended(30) == -9
            here.start(**ROLLS)
        await here.instance.up()
        await _until_status(here, "open", rolled=1)
        after = await _net(here)
        assert {after[symbol] for symbol in before} == {0}
        new = {symbol: held for symbol, held in after.items() if held}
        assert sorted(symbol[-2:] for symbol in new) == ["CE", "PE"]
        assert sum(new.values()) == 0
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        assert len((await here.ledger())["orders"]) == 6
        (roll,) = await here.rows("SELECT status, basis FROM rollovers")
        assert roll["status"] == "rolled"
        assert roll["basis"] is not None
        strikes = {re.sub(r"(CE|PE)$", "", symbol) for symbol in new}
        assert len(strikes) == 1
