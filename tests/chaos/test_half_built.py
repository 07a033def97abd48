"""A leg is refused by the venue, and the process dies while it repairs: one position, no more."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from chaos.signals import bank_nifty
from chaos.world import World, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

SHORT_REFUSED = {"kind": "reject", "match": {"side": "SELL"}}
ON_THE_WAY = [
    # The third order is the repair's: the first two are the legs of the entry.
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:3",
    f"{Failpoint.SEND_AFTER}:3",
    # Not before a settlement: a refusal that dies unheard is a person's at such a broker.
    f"{Failpoint.SETTLE_AFTER_COMMIT}:3",
]


async def _in_status(here: World, status: str) -> dict[str, object]:
    async def found() -> dict[str, object] | None:
        rows = await here.rows("SELECT * FROM portfolio_positions WHERE status = $1", status)
        return rows[0] if rows else None

    row = await until(found)
    assert row is not None
    return row


async def _net(here: World) -> dict[str, float]:
    ledger, net = await here.ledger(), dict[str, float]()
    for execution in ledger["executions"]:
        sign = 1 if execution["side"] == "BUY" else -1
        kind = execution["symbol"][-2:]
        net[kind] = net.get(kind, 0) + sign * float(execution["quantity"])
    return net


@pytest.mark.req("PF-21", "OPS-1")
@pytest.mark.parametrize("point", ["", *ON_THE_WAY])
async def test_a_refused_leg_is_completed_whoever_dies_meanwhile(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.fault(**SHORT_REFUSED, next=1)
        here.start(ONEFILL_FAILPOINT=point)
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            body = bank_nifty("BASE_ENTRY", "Long_1", "one")
            await send_until_accepted(session, here.instance.url, body)
            if point:
                assert await here.instance.ended() == -9
                here.start()
                await here.instance.up()
        position = await _in_status(here, "open")
        lots, units = position["lots"], position["units_per_lot"]
        assert isinstance(lots, int) and isinstance(units, int)
        assert await _net(here) == {"CE": lots * units, "PE": -lots * units}
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        (lane,) = await here.rows("SELECT blocked FROM lanes")
        assert lane["blocked"] is None


@pytest.mark.req("PF-21", "OPS-1")
@pytest.mark.parametrize("point", ["", f"{Failpoint.SEND_AFTER}:5"])
async def test_a_leg_that_is_never_taken_leaves_nothing_behind(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.fault(kind="reject", match={"side": "SELL"}, next=3)
        here.start(ONEFILL_FAILPOINT=point)
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            body = bank_nifty("BASE_ENTRY", "Long_1", "one")
            await send_until_accepted(session, here.instance.url, body)
            if point:
                assert await here.instance.ended() == -9
                here.start()
                await here.instance.up()
        position = await _in_status(here, "closed")
        assert position["reason"] == "unwound"
        assert await _net(here) == {"CE": 0}
        (signal,) = await here.rows("SELECT processing_status AS status, reason FROM signal_log")
        assert (signal["status"], signal["reason"]) == ("executed", "partly_filled")


@pytest.mark.req("PF-21", "ORD-8")
async def test_the_long_leg_is_kept_while_nobody_knows_of_the_short_one(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.fault(**SHORT_REFUSED, next=1)
        here.start(ONEFILL_FAILPOINT=f"{Failpoint.SEND_AFTER}:2")  # dies with the refusal unheard
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            body = bank_nifty("BASE_ENTRY", "Long_1", "one")
            await send_until_accepted(session, here.instance.url, body)
            assert await here.instance.ended() == -9
        here.start()
        await here.instance.up()

        async def quarantined() -> bool:
            return bool(await here.rows("SELECT FROM order_intents WHERE state = 'QUARANTINED'"))

        await until(quarantined)
        assert list(await _net(here)) == ["CE"]
        orders = await here.rows("SELECT action, leg FROM order_intents ORDER BY leg")
        assert [(row["action"], row["leg"]) for row in orders] == [("open", "ce"), ("open", "pe")]
