"""Orders follow their price at a venue with a spread, and whoever follows dies: never more than
was wanted, and all of it in the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.world import World, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

WITHIN_REACH, OUT_OF_REACH = "1", "8"
"""Spreads: the ask is one step above the middle, or beyond the last step."""
ON_THE_WAY = [
    # Where no price moves: 1 is the limit, 2 its cancel, 3 what is left, 4 the other leg's limit.
    f"{Failpoint.SEND_AFTER}:2",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:3",
]
EVERYWHERE_ELSE = [
    f"{Failpoint.SEND_AFTER}:1",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:2",
    f"{Failpoint.CLAIM_AFTER_COMMIT}:2",
    f"{Failpoint.SEND_BEFORE}:2",
    f"{Failpoint.SEND_AFTER}:3",
    f"{Failpoint.SEND_AFTER}:5",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:5",
    f"{Failpoint.SEND_BEFORE}:5",
    f"{Failpoint.SEND_AFTER}:6",
    *(f"{Failpoint.SETTLE_AFTER_COMMIT}:{nth}" for nth in range(1, 6)),
    *(f"{Failpoint.SETTLE_BEFORE_COMMIT}:{nth}" for nth in range(2, 6)),
    *(f"{Failpoint.DECIDE_BEFORE_COMMIT}:{nth}" for nth in range(1, 5)),
    *(f"{Failpoint.DECIDE_AFTER_COMMIT}:{nth}" for nth in range(1, 5)),
]
rarely = pytest.mark.long


def chasing(steps_max: int, every_s: str = "0.4") -> dict[str, str]:
    prefix = "ONEFILL_INSTRUMENTS__BANK_NIFTY__CHASE__"
    return {
        f"{prefix}STEP": "0.5",
        f"{prefix}EVERY_S": every_s,
        f"{prefix}STEPS_MAX": str(steps_max),
        "ONEFILL_MODE": "active-standby",
    }


async def _post(here: World, path: str, **body: object) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(here.venue.url + path, json=body) as response,
    ):
        assert response.status == 200, await response.text()


async def _send(url: str, *bodies: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await send_until_accepted(session, url, body)


async def _position(here: World, status: str) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        rows = await here.rows("SELECT * FROM portfolio_positions WHERE status = $1", status)
        return rows[0] if rows else None

    row = await until(found)
    assert row is not None
    return row


async def _traded(here: World) -> dict[tuple[str, str], float]:
    """What the venue traded, by kind of option and side."""
    traded: Counter[tuple[str, str]] = Counter()
    for execution in (await here.ledger())["executions"]:
        traded[execution["symbol"][-2:], execution["side"]] += float(execution["quantity"])
    return dict(traded)


async def _until_decided(here: World, verb: str) -> None:
    async def decided() -> bool:
        return bool(await here.rows("SELECT FROM order_intents WHERE verb = $1", verb))

    await until(decided)


def _bought(position: dict[str, Any]) -> dict[tuple[str, str], float]:
    quantity = position["lots"] * position["units_per_lot"]
    return {("CE", "BUY"): quantity, ("PE", "SELL"): quantity}


@pytest.mark.req("PF-22")
async def test_orders_start_at_the_middle_and_move_until_they_are_taken(
    database_url: str, tmp_path: Path
) -> None:
    # Long enough to hear of a fill before the next step is due.
    async with world(database_url, tmp_path, **chasing(3, every_s="2")) as here:
        await _post(here, "/settings", spread=WITHIN_REACH)
        await here.restart()
        await _send(here.instance.url, bank_nifty("BASE_ENTRY", "Long_1", "one"))
        position = await _position(here, "open")
        assert await _traded(here) == _bought(position)
        orders = await here.rows("SELECT * FROM order_intents WHERE verb = 'place'")
        assert {row["order_type"] for row in orders} == {"LIMIT"}
        assert {float(abs(row["price"] - row["chase_price"])) for row in orders} == {0.5}
        moves = await here.rows("SELECT state FROM order_intents WHERE verb <> 'place'")
        assert {row["state"] for row in moves} == {"DONE"}


@pytest.mark.req("PF-22", "PF-12")
@pytest.mark.parametrize("at_once", [None, pytest.param("30", marks=rarely)])
async def test_what_is_not_taken_within_the_cap_goes_at_market_on_the_way_in_and_out(
    database_url: str, tmp_path: Path, at_once: str | None
) -> None:
    async with world(database_url, tmp_path, **chasing(1)) as here:
        await _post(here, "/settings", spread=OUT_OF_REACH, fill_at_most=at_once)
        await here.restart()
        await _send(here.instance.url, bank_nifty("BASE_ENTRY", "Long_1", "one"))
        bought = _bought(await _position(here, "open"))
        assert await _traded(here) == bought
        await _send(here.instance.url, bank_nifty("EXIT", "Long_1", "two"))
        await _position(here, "closed")
        quantity = bought["CE", "BUY"]
        assert await _traded(here) == bought | {("PE", "BUY"): quantity, ("CE", "SELL"): quantity}


@pytest.mark.req("PF-22")
async def test_an_order_that_fills_while_its_cancel_is_on_the_way_is_not_bought_again(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **chasing(0)) as here:
        await _post(here, "/settings", spread=OUT_OF_REACH)
        await _post(here, "/faults", kind="latency", ms=6000, next=1, match={"kind": "cancel"})
        await here.restart()
        await _send(here.instance.url, bank_nifty("BASE_ENTRY", "Long_1", "one"))
        await _until_decided(here, "cancel")
        await _post(here, "/price", symbol="BANKNIFTY", price="59900")  # the call costs less now
        position = await _position(here, "open")
        assert await _traded(here) == _bought(position)
        reasons = await here.rows("SELECT reason FROM order_intents WHERE state = 'EXPIRED'")
        assert [row["reason"] for row in reasons] == ["nothing_left"]


@pytest.mark.req("PF-22", "OPS-1", "CTL-9")
@pytest.mark.parametrize(
    "point", [*ON_THE_WAY, *(pytest.param(p, marks=rarely) for p in EVERYWHERE_ELSE)]
)
async def test_a_chase_is_gone_on_with_by_another_instance_whoever_dies_where(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path, **chasing(0)) as here:
        await _post(here, "/settings", spread=OUT_OF_REACH)
        await here.run("first", ONEFILL_FAILPOINT=point)
        await here.until_active("first")
        await here.run("spare", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await _send(here["spare"].url, bank_nifty("BASE_ENTRY", "Long_1", "one"))
        assert await here["first"].ended() == -9
        position = await _position(here, "open")
        assert await _traded(here) == _bought(position)
        (lane,) = await here.rows("SELECT blocked FROM lanes")
        assert lane["blocked"] is None
