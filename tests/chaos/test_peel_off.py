"""A position that outgrew its ongoing limits sheds lots once, whoever dies on the way."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.world import SECRET, World, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

PEELS = {"ONEFILL_PEEL_OFF": "true"}
LONG = pytest.mark.long
# Two orders: some of the put bought back, then as much of the call sold.
DEATHS = [
    "",
    f"{Failpoint.SEND_AFTER}:1",
    *(
        pytest.param(f"{point}:{n}", marks=LONG)
        for point, n in (
            (Failpoint.DECIDE_BEFORE_COMMIT, 1),
            (Failpoint.DECIDE_AFTER_COMMIT, 1),
            (Failpoint.CLAIM_BEFORE_COMMIT, 1),
            (Failpoint.SETTLE_BEFORE_COMMIT, 1),
            (Failpoint.CLAIM_BEFORE_COMMIT, 2),
            (Failpoint.SEND_AFTER, 2),
            (Failpoint.SETTLE_AFTER_COMMIT, 2),
        )
    ),
]


def _bar(atr: int, order_id: str) -> bytes:
    body = {
        "secret": SECRET,
        "type": "MARKET_DATA",
        "instrument": "BANK_NIFTY",
        "price": 60_000,
        "atr": atr,
        "supertrend": 59_000,
        "timestamp": datetime.now(UTC).isoformat(),
        "order_id": order_id,
    }
    return json.dumps(body).encode()


async def _send(here: World, body: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here.instance.url, body)


async def _until_held(here: World, lots: int) -> None:
    """Open with so many lots, and no order of it under way."""

    async def held() -> bool:
        rows = await here.rows(
            "SELECT lots FROM portfolio_positions p WHERE status = 'open' AND NOT EXISTS "
            "(SELECT FROM order_intents i WHERE i.position_id = p.position_id "
            "AND i.state NOT IN ('FILLED', 'EXPIRED'))"
        )
        return [row["lots"] for row in rows] == [lots]

    await until(held)


async def _at_the_venue(here: World) -> Counter[str]:
    net: Counter[str] = Counter()
    for execution in (await here.ledger())["executions"]:
        sign = 1 if execution["side"] == "BUY" else -1
        net[execution["symbol"][-2:]] += sign * int(float(execution["quantity"]))
    return net


@pytest.mark.req("PF-7", "PF-13", "ORD-1")
@pytest.mark.parametrize("point", DEATHS)
async def test_what_is_too_much_is_sold_once(database_url: str, tmp_path: Path, point: str) -> None:
    async with world(database_url, tmp_path) as here:
        here.start(**PEELS)
        await here.instance.up()
        await _send(here, bank_nifty("BASE_ENTRY", "Long_1", "entry"))
        await _until_held(here, 3)
        await here.restart(**PEELS, ONEFILL_FAILPOINT=point)
        await _send(here, _bar(500, "wild"))  # 500 points · 3 lots · ₹30: more than 0.7 %
        if point:
            assert await here.instance.ended() == -9
            await here.restart(**PEELS)
        await _until_held(here, 2)
        await _send(here, _bar(500, "as wild"))
        await here.until_all_ended()
        await _until_held(here, 2)
        assert await _at_the_venue(here) == {"CE": 60, "PE": -60}
        ledger = await here.ledger()
        assert set(executions_by_order(ledger).values()) == {1}
        assert len(ledger["orders"]) == 4
        await _check_the_money(here)


async def _check_the_money(here: World) -> None:
    """What the lot earned is what its two legs' fills say, to the paisa."""
    fills = await here.rows(
        "SELECT i.leg, f.side, f.price FROM fills f JOIN order_intents i USING (client_order_id)"
    )
    price = {(row["leg"], row["side"]): row["price"] for row in fills}
    points = price["ce", "SELL"] - price["ce", "BUY"] + price["pe", "SELL"] - price["pe", "BUY"]
    (state,) = await here.rows("SELECT realised_pnl FROM portfolio_state")
    assert state["realised_pnl"] == points * 30
