"""A stop waits at the broker for each position, whoever dies: it and the exit never both fill."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.signals import gold_mini
from chaos.world import World, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

GUARDED = {
    "ONEFILL_INSTRUMENTS__GOLD_MINI__PROTECTIVE_STOP": "true",
    "ONEFILL_MODE": "active-standby",
}
ON_THE_WAY_IN = [
    f"{Failpoint.SETTLE_AFTER_COMMIT}:1",  # filled, and nobody has decided its stop
    f"{Failpoint.SEND_AFTER}:2",
]
ALL_THE_WAY_IN = [
    f"{Failpoint.SETTLE_BEFORE_COMMIT}:1",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:2",
    f"{Failpoint.SETTLE_AFTER_COMMIT}:2",
    f"{Failpoint.SETTLE_AFTER_COMMIT}:3",
]
ON_THE_WAY_OUT = [f"{Failpoint.SEND_AFTER}:1"]
ALL_THE_WAY_OUT = [
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:1",
    f"{Failpoint.CLAIM_AFTER_COMMIT}:1",
    f"{Failpoint.SEND_BEFORE}:1",
    f"{Failpoint.SETTLE_BEFORE_COMMIT}:1",
    f"{Failpoint.DECIDE_AFTER_COMMIT}:1",
]


def _rarely(points: list[str]) -> list[Any]:
    return [pytest.param(point, marks=pytest.mark.long) for point in points]


async def _call(here: World, path: str, **body: object) -> Any:
    method = "POST" if body else "GET"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, here.venue.url + path, json=body or None) as response,
    ):
        assert response.status == 200, await response.text()
        return await response.json()


async def _send(here: World, body: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here.instance.url, body)


async def _position(here: World, status: str) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        rows = await here.rows("SELECT * FROM portfolio_positions WHERE status = $1", status)
        return rows[0] if rows else None

    row = await until(found)
    assert row is not None
    return row


async def _waiting(here: World) -> list[dict[str, Any]]:
    """The stops that wait at the venue."""
    book = await _call(here, "/api/v1/orderbook", apikey="paper")
    orders = book["data"]["orders"]
    return [order for order in orders if order["order_status"] == "trigger pending"]


async def _until_stopped_at(here: World, trigger: int) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        waiting = await _waiting(here)
        is_there = [stop for stop in waiting if float(stop["trigger_price"]) == trigger]
        return is_there[0] if is_there else None

    stop = await until(there)
    assert stop is not None
    return stop


async def _sums(here: World) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for execution in (await here.ledger())["executions"]:
        sums[execution["side"]] += float(execution["quantity"])
    return dict(sums)


async def _held(here: World) -> int:
    """An entry is filled and its stop waits at the venue; its quantity."""
    await _send(here, gold_mini("BASE_ENTRY", "Long_1", "one"))
    position = await _position(here, "open")
    stop = await _until_stopped_at(here, 77_500)
    quantity = int(position["lots"] * position["units_per_lot"])
    assert (stop["action"], float(stop["quantity"])) == ("SELL", quantity)
    return quantity


@pytest.mark.req("PF-11", "PF-10")
async def test_a_stop_waits_follows_and_becomes_the_exit(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path, **GUARDED) as here:
        await here.restart()
        quantity = await _held(here)
        await _call(here, "/price", symbol="GOLDM", price="78400")
        await _send(here, gold_mini("MARKET_DATA", None, "bar", 78_400))
        await _until_stopped_at(here, 78_000)
        await _send(here, gold_mini("EXIT", "Long_1", "two", 78_400))
        await _position(here, "closed")
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}
        orders = await here.rows("SELECT action FROM order_intents WHERE verb = 'place'")
        assert sorted(row["action"] for row in orders) == ["open", "stop"]
        assert await _waiting(here) == []


@pytest.mark.req("PF-11")
async def test_a_stop_that_fills_while_nobody_lives_closes_the_position_in_the_book(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **GUARDED) as here:
        await here.restart()
        quantity = await _held(here)
        here.instance.kill()
        await _call(here, "/price", symbol="GOLDM", price="77400")
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}
        await here.restart()
        position = await _position(here, "closed")
        assert position["reason"] == "protective_stop"
        assert float(position["realised_pnl"]) == -600 * 10 * position["lots"]
        await _send(here, gold_mini("EXIT", "Long_1", "two", 77_400))
        await here.until_all_ended()
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}


@pytest.mark.req("PF-11", "OPS-1")
@pytest.mark.parametrize("point", [*ON_THE_WAY_IN, *_rarely(ALL_THE_WAY_IN)])
async def test_whoever_dies_after_the_fill_the_position_has_one_stop(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path, **GUARDED) as here:
        here.start(ONEFILL_FAILPOINT=point)
        await here.instance.up()
        await _send(here, gold_mini("BASE_ENTRY", "Long_1", "one"))
        assert await here.instance.ended() == -9
        await here.restart()
        position = await _position(here, "open")
        stop = await _until_stopped_at(here, 77_500)
        assert float(stop["quantity"]) == position["lots"] * position["units_per_lot"]
        assert len(await _waiting(here)) == 1


@pytest.mark.req("PF-11", "PF-12", "OPS-1")
@pytest.mark.parametrize("triggers", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("point", [*ON_THE_WAY_OUT, *_rarely(ALL_THE_WAY_OUT)])
async def test_whoever_dies_in_an_exit_what_is_held_is_sold_once(
    database_url: str, tmp_path: Path, point: str, triggers: bool
) -> None:
    async with world(database_url, tmp_path, **GUARDED) as here:
        await here.restart()
        quantity = await _held(here)
        here.instance.kill()
        await here.restart(ONEFILL_FAILPOINT=point)
        await _send(here, gold_mini("EXIT", "Long_1", "two"))
        assert await here.instance.ended() == -9
        if triggers:  # before, or after it was made to trade
            await _call(here, "/price", symbol="GOLDM", price="77400")
        await here.restart()
        await _position(here, "closed")
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}
        assert await _waiting(here) == []


@pytest.mark.req("PF-11", "PF-12")
@pytest.mark.parametrize("kind", ["reject", pytest.param("drop_reply", marks=pytest.mark.long)])
async def test_a_stop_that_cannot_be_made_to_trade_is_cancelled_before_anything_is_sold(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    async with world(database_url, tmp_path, **GUARDED) as here:
        await here.restart()
        quantity = await _held(here)
        await here.fault(kind=kind, next=1, match={"kind": "modify"})
        await _send(here, gold_mini("EXIT", "Long_1", "two"))
        await _position(here, "closed")
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}
        assert await _waiting(here) == []


@pytest.mark.req("PF-7", "PF-11")
@pytest.mark.parametrize("point", ["", *_rarely([f"{Failpoint.SEND_AFTER}:1"])])
async def test_lots_are_peeled_off_once_their_stop_gave_way_whoever_dies(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path, ONEFILL_PEEL_OFF="true", **GUARDED) as here:
        await here.restart()
        quantity = await _held(here)
        await here.restart(ONEFILL_FAILPOINT=point)
        await _send(here, gold_mini("MARKET_DATA", None, "wild", 78_000, atr=1_000))
        if point:
            assert await here.instance.ended(30) == -9
            await here.restart()

        async def is_smaller() -> bool:
            sold = (await _sums(here)).get("SELL", 0)
            waits = [float(stop["quantity"]) for stop in await _waiting(here)]
            return sold == quantity - 100 and waits == [100]

        await until(is_smaller, 40)  # 1000 points · ₹10: 15,000 allow one lot
        await _call(here, "/price", symbol="GOLDM", price="77400")
        await _position(here, "closed")
        assert await _sums(here) == {"BUY": quantity, "SELL": quantity}
