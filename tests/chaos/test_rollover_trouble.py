"""A rollover that the exchange refuses, fills in parts or keeps silent of, and one that is left in
the middle: nothing is closed or opened twice, and nothing is naked that nobody is told of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from chaos.rolling import (
    ROLLS,
    STEPS,
    another_rolls,
    at_leg,
    entered,
    net,
    rolled_whole,
    send,
    until_status,
)
from chaos.signals import bank_nifty
from chaos.world import World, executions_by_order, world
from onefill.ports.failpoints import Failpoint
from support import until

LONG = pytest.mark.long
COVER, SELL, BUY_NEXT, SELL_NEXT = STEPS
DIES_WHEN_BEGUN = f"{Failpoint.DECIDE_AFTER_COMMIT}:1"


async def _told(here: World, words: str) -> None:
    """Wait until somebody was told of it."""

    async def found() -> bool:
        logs = (server.log for server in here.instances.values())
        return any(words in log.read_text("utf-8") for log in logs if log.exists())

    await until(found)


async def _dies_when_begun(here: World) -> None:
    """An instance decides to close the old legs, and dies before it sends anything."""
    here.start(**ROLLS, ONEFILL_FAILPOINT=DIES_WHEN_BEGUN)
    assert await here.instance.ended() == -9


async def _every_order_once(here: World) -> None:
    assert set(executions_by_order(await here.ledger()).values()) == {1}


@pytest.mark.req("PF-24", "PF-21")
@pytest.mark.parametrize(
    "step", [COVER, *(pytest.param(step, marks=LONG) for step in (SELL, SELL_NEXT))]
)
async def test_a_refused_leg_is_asked_for_again_and_the_position_rolls(
    database_url: str, tmp_path: Path, step: str
) -> None:
    async with world(database_url, tmp_path) as here:
        row = await entered(here)
        before, names = await net(here), await at_leg(here, row["position_id"])
        await here.fault(kind="reject", match={"client_order_id": names[step]})
        await _dies_when_begun(here)
        await another_rolls(here)
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        await _every_order_once(here)


@pytest.mark.req("PF-24", "PF-21")
async def test_a_next_contract_that_is_refused_leaves_nothing_and_is_told(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        row = await entered(here)
        names = await at_leg(here, row["position_id"])
        await here.fault(kind="reject", match={"client_order_id": names[BUY_NEXT]})
        await _dies_when_begun(here)
        await another_rolls(here)
        await until_status(here, "closed", rolled=1)
        assert set((await net(here)).values()) == {0}
        await _told(here, "was closed to roll, and not reopened")
        (roll,) = await here.rows(
            "SELECT rollover_status FROM portfolio_positions WHERE rollover_count = 1"
        )
        assert roll["rollover_status"] == "failed"


@pytest.mark.req("PF-24", "PF-21", "ORD-10")
@pytest.mark.parametrize(
    "point", ["", pytest.param(f"{Failpoint.SETTLE_BEFORE_COMMIT}:3", marks=LONG)]
)
async def test_orders_that_fill_in_parts_roll_it_whole(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await entered(here)
        before = await net(here)
        await here.fault(kind="partial_fill", quantity="35")
        ticking = asyncio.create_task(_tick(here))
        here.start(**ROLLS, ONEFILL_FAILPOINT=point)
        if point:
            assert await here.instance.ended() == -9
            await another_rolls(here)
        await until_status(here, "open", rolled=1)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await rolled_whole(here, before)
        ledger = await here.ledger()
        assert len(ledger["executions"]) > len(ledger["orders"]) == 6


async def _tick(here: World) -> None:
    """What fills in parts does so at each tick."""
    async with aiohttp.ClientSession() as session:
        while True:
            price = {"symbol": "BANKNIFTY", "price": "60000"}
            async with session.post(f"{here.venue.url}/price", json=price) as answer:
                assert answer.status == 200
            await asyncio.sleep(0.05)


@pytest.mark.req("PF-24", "ORD-7", "ORD-8")
@pytest.mark.parametrize("step", [SELL, pytest.param(BUY_NEXT, marks=LONG)])
async def test_an_order_whose_answer_is_lost_is_found_and_the_position_rolls(
    database_url: str, tmp_path: Path, step: str
) -> None:
    async with world(database_url, tmp_path) as here:
        row = await entered(here)
        before, names = await net(here), await at_leg(here, row["position_id"])
        await here.fault(kind="drop_reply", match={"client_order_id": names[step]}, next=1)
        await _dies_when_begun(here)
        await another_rolls(here)
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        await _every_order_once(here)
        assert len((await here.ledger())["orders"]) == 6


@pytest.mark.req("PF-24", "PF-21", "ORD-7", "ORD-8")
@pytest.mark.parametrize(
    "step", [COVER, *(pytest.param(step, marks=LONG) for step in (SELL, SELL_NEXT))]
)
async def test_a_leg_in_doubt_stops_it_until_a_person_has_looked(
    database_url: str, tmp_path: Path, step: str
) -> None:
    async with world(database_url, tmp_path) as here:
        row = await entered(here)
        before, names = await net(here), await at_leg(here, row["position_id"])
        await here.fault(kind="error_before", match={"client_order_id": names[step]})
        await _dies_when_begun(here)
        await another_rolls(here)

        async def quarantined() -> bool:
            query = "SELECT FROM order_intents WHERE state = 'QUARANTINED'"
            return bool(await here.rows(query))

        await until(quarantined)
        await _told(here, names[step])
        # Whatever is short is covered: the call stays as long as nobody knows of the put.
        held = await net(here)
        for symbol, quantity in held.items():
            if symbol.endswith("PE"):
                assert held[symbol[:-2] + "CE"] >= -quantity
        path = f"/api/orders/{names[step]}/resolve"
        status, _ = await here.ask("dev", path, {"outcome": "not_placed", "note": "looked"})
        assert status == 200
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        await _every_order_once(here)


@pytest.mark.req("PF-24", "PF-12")
@pytest.mark.parametrize(
    ("visit", "opened"),
    [(Failpoint.DECIDE_AFTER_COMMIT, ""), (Failpoint.CLAIM_BEFORE_COMMIT, ":3")],
)
async def test_an_exit_in_the_middle_leaves_nothing_and_decides_no_opening(
    database_url: str, tmp_path: Path, visit: str, opened: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await entered(here)
        here.start(**ROLLS, ONEFILL_FAILPOINT=visit + (opened or ":1"))
        assert await here.instance.ended() == -9
        here["dev"].start({**here.environment, **ROLLS, "ONEFILL_ROLE": "intake"})
        await here["dev"].up()
        await send(here, bank_nifty("EXIT", "Long_1", "out"), "dev")
        here["dev"].kill()
        await another_rolls(here)
        await here.until_all_ended()
        assert set((await net(here)).values()) == {0}
        (exit_,) = await here.rows("SELECT processing_status FROM signal_log WHERE kind = 'EXIT'")
        assert exit_["processing_status"] == "executed"
        assert not await here.rows("SELECT FROM portfolio_positions WHERE status <> 'closed'")
        await _every_order_once(here)
        sides = sorted(order["side"] for order in (await here.ledger())["orders"])
        if not opened:  # else what was decided already may go out before the exit is
            assert sides == ["BUY", "BUY", "SELL", "SELL"]  # in and out, nothing besides
