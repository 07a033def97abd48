"""A lane is closed while a limit order of it rests at the venue, and the cancel's way is rough."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until


async def _send(here: World, *bodies: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await send_until_accepted(session, here.instance.url, body)


def _limit(order_id: str, action: str, contracts: int, price: int) -> bytes:
    wish = f'"contracts": {contracts}, "type": "limit", "price": {price}'.encode()
    body = direct(order_id, "SIM001", action=action)
    return body.replace(b'"contracts": 1', wish)


async def _until_rests(here: World) -> None:
    async def rests() -> bool:
        return bool(await here.rows("SELECT FROM order_intents WHERE state = 'ACKED'"))

    await until(rests)


@pytest.mark.req("ORD-3", "ORD-7", "ORD-8")
@pytest.mark.parametrize("kind", [None, "drop_reply", "error_before", "error_after"])
@pytest.mark.parametrize("order_class", ["A", "B", "C"])
async def test_a_close_cancels_what_rests_and_sells_the_whole_of_it_once(
    database_url: str, tmp_path: Path, order_class: str, kind: str | None
) -> None:
    async with world(database_url, tmp_path, order_class=order_class) as here:
        await here.restart()
        await _send(here, direct("buy", "SIM001", contracts=4))
        await here.until_all_ended()
        await _send(here, _limit("rest", "sell", 3, 200))
        await _until_rests(here)
        if kind is not None:
            await here.fault(kind=kind, next=1, match={"kind": "cancel"})
        await _send(here, direct("close", "SIM001", action="close"))
        await here.until_all_ended()

        states = await here.rows("SELECT verb, state FROM order_intents ORDER BY created_at")
        assert ("cancel", "DONE") in [(row["verb"], row["state"]) for row in states]
        ledger = await here.ledger()
        assert set(executions_by_order(ledger).values()) == {1}
        net = sum(
            (1 if e["side"] == "BUY" else -1) * float(e["quantity"]) for e in ledger["executions"]
        )
        assert net == 0
        (position,) = await here.rows("SELECT status FROM portfolio_positions")
        assert position["status"] == "closed"


@pytest.mark.req("ORD-3", "ORD-7")
async def test_a_death_between_a_cancel_and_its_answer_is_looked_up(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, order_class="C") as here:
        await here.restart()
        await _send(here, _limit("rest", "buy", 3, 50))
        await _until_rests(here)
        here.instance.kill()
        await here.restart(ONEFILL_FAILPOINT=Failpoint.SEND_AFTER.value)
        await _send(here, direct("close", "SIM001", action="close"))
        assert await here.instance.ended() == -9
        await here.restart()
        await here.until_all_ended()
        rows = await here.rows("SELECT state, attempt FROM order_intents WHERE verb = 'cancel'")
        assert [(row["state"], row["attempt"]) for row in rows] == [("DONE", 1)]
        assert executions_by_order(await here.ledger()) == {}
