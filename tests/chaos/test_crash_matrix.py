"""The process dies at each named place of the trade path; its next start must get it right."""

from __future__ import annotations

import contextlib
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

ON_THE_WAY = [
    Failpoint.INTAKE_BEFORE_COMMIT,
    Failpoint.INTAKE_AFTER_COMMIT,
    Failpoint.DECIDE_BEFORE_COMMIT,
    Failpoint.DECIDE_AFTER_COMMIT,
    Failpoint.CLAIM_BEFORE_COMMIT,
    Failpoint.CLAIM_AFTER_COMMIT,
    Failpoint.SEND_BEFORE,
    Failpoint.SEND_AFTER,
    Failpoint.SETTLE_BEFORE_COMMIT,
    Failpoint.SETTLE_AFTER_COMMIT,
]
CLAIMED_NOT_SENT = (Failpoint.CLAIM_AFTER_COMMIT, Failpoint.SEND_BEFORE)


@pytest.mark.req("ORD-3", "ORD-5", "ORD-7", "ORD-13", "OPS-1", "SIG-2")
@pytest.mark.parametrize("point", ON_THE_WAY, ids=lambda point: point.value)
@pytest.mark.parametrize("order_class", ["A", "B", "C"])
async def test_a_death_here_neither_doubles_nor_loses(
    database_url: str, tmp_path: Path, order_class: str, point: Failpoint
) -> None:
    async with world(database_url, tmp_path, order_class=order_class) as here:
        here.start(ONEFILL_FAILPOINT=point.value)
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            body = direct("one", "SIM001")
            with contextlib.suppress(aiohttp.ClientError):  # it may die before it can answer
                await session.post(f"{here.instance.url}/webhook", data=body)
            assert await here.instance.ended() == -9
            here.start()
            await here.instance.up()
            await send_until_accepted(session, here.instance.url, body)
        if order_class == "C" and point in CLAIMED_NOT_SENT:
            # Nobody can know that it was not sent: it goes to a person, and is never sent again.
            await _until_quarantined(here)
            assert executions_by_order(await here.ledger()) == {}
            return
        await here.until_all_ended()
        (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
        assert signal["status"] == "executed"
        assert list(executions_by_order(await here.ledger()).values()) == [1]
        (position,) = await here.rows("SELECT bought_quantity AS held FROM position_legs")
        assert position["held"] == 1


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize("point", [Failpoint.LOOK_UP_BEFORE, Failpoint.LOOK_UP_AFTER])
async def test_a_death_while_looking_up_changes_nothing(
    database_url: str, tmp_path: Path, point: Failpoint
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.fault(kind="drop_reply", next=1)
        await here.fault(kind="stream_drop", next=10)  # else it is heard of before it is looked up
        here.start(ONEFILL_FAILPOINT=point.value)
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here.instance.url, direct("one", "SIM001"))
        assert await here.instance.ended() == -9
        await here.restart()
        await here.until_all_ended()
        assert list(executions_by_order(await here.ledger()).values()) == [1]


@pytest.mark.req("ORD-5", "ORD-7", "ORD-13")
@pytest.mark.parametrize("kind", ["drop_reply", "error_before", "error_after", "lying_400"])
@pytest.mark.parametrize("order_class", ["A", "B", "C"])
async def test_a_lying_or_silent_broker_gets_each_order_once(
    database_url: str, tmp_path: Path, order_class: str, kind: str
) -> None:
    async with world(database_url, tmp_path, order_class=order_class) as here:
        await here.fault(kind=kind, next=1)
        await here.restart()
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here.instance.url, direct("one", "SIM001"))
        if order_class == "C" and kind == "error_before":
            await _until_quarantined(here)  # nobody can prove that it was not placed
            assert executions_by_order(await here.ledger()) == {}
            return
        await here.until_all_ended()
        (signal,) = await here.rows("SELECT processing_status AS status FROM signal_log")
        assert signal["status"] == "executed"
        assert list(executions_by_order(await here.ledger()).values()) == [1]


async def _until_quarantined(here: World) -> None:
    async def quarantined() -> bool:
        rows = await here.rows(
            "SELECT i.state, s.processing_status AS status "
            "FROM order_intents i JOIN signal_log s ON s.id = i.signal_id"
        )
        return [(r["state"], r["status"]) for r in rows] == [("QUARANTINED", "in_doubt")]

    await until(quarantined)
