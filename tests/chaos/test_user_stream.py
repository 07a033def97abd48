"""Fills by the broker's stream and by polling: each alone is enough, together they count once."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

NEVER = {
    "ONEFILL_ORDERS__POLL_FIRST_MS": "3600000",
    "ONEFILL_ORDERS__POLL_SLOWEST_MS": "3600000",
    "ONEFILL_ORDERS__RECONCILE_EVERY_S": "86400",
}
"""Nothing is polled for within a test: what is booked, the stream has told."""
KEY = "/fapi/v1/listenKey"


async def send(here: World, *bodies: bytes, to: str = "prod") -> None:
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await send_until_accepted(session, here[to].url, body)


def limit(order_id: str, contracts: int = 3) -> bytes:
    body = direct(order_id, "SIM001", contracts=contracts)
    return body.replace(b'"order_id"', b'"type": "limit", "price": 90, "order_id"')


async def tell_venue(here: World, path: str, method: str = "POST", **body: object) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, here.venue.url + path, json=body or None) as response,
    ):
        assert response.status == 200, await response.text()


async def until_states(here: World, **wanted: int) -> None:
    """Wait until so many intents are in these states."""

    async def reached() -> bool:
        rows = await here.rows("SELECT state FROM order_intents")
        return Counter(row["state"] for row in rows) == Counter(wanted)

    await until(reached)


async def until_listens(here: World, name: str = "prod", times: int = 1) -> None:
    """Wait until the instance has connected to the stream so often."""
    log = here[name].log

    def connected() -> bool:
        return log.read_text().count("listener.connected") >= times

    await until(connected)


async def judge(here: World, quantity: int) -> None:
    """The books hold exactly what the ledger says, each execution once."""
    ledger = await here.ledger()
    assert set(executions_by_order(ledger).values()) == {1}
    executed = sum(Decimal(e["quantity"]) * Decimal(e["price"]) for e in ledger["executions"])
    (booked,) = await here.rows("SELECT sum(quantity) AS quantity, sum(value) AS value FROM fills")
    assert (booked["quantity"], booked["value"]) == (quantity, executed)
    (leg,) = await here.rows("SELECT bought_quantity - sold_quantity AS net FROM position_legs")
    assert leg["net"] == quantity


@pytest.mark.req("ORD-10", "ORD-12")
async def test_fills_arrive_by_the_stream_while_nobody_polls(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **NEVER) as here:
        await here.restart()
        await until_listens(here)
        await send(here, limit("one"))
        await until_states(here, ACKED=1)
        await tell_venue(here, "/settings", fill_at_most="1")
        for price in ("90", "89", "88"):
            await tell_venue(here, "/price", symbol="SIM001", price=price)
        await until_states(here, FILLED=1)
        await here.until_all_ended()
        await judge(here, 3)
        (row,) = await here.rows("SELECT count(*) AS trades FROM broker_trades")
        assert row["trades"] == 3


@pytest.mark.req("ORD-10")
async def test_a_stream_whose_key_was_deleted_is_made_again_and_nothing_is_missed(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **NEVER) as here:
        await here.restart()
        await until_listens(here)
        await send(here, limit("one"))
        await until_states(here, ACKED=1)
        await here.fault(kind="stream_drop", probability=1, match={"status": "FILLED"})
        await tell_venue(here, "/price", symbol="SIM001", price="90")
        await tell_venue(here, KEY, "DELETE")
        # Connected anew, it asks once for all that it may have missed.
        await until_states(here, FILLED=1)
        await judge(here, 3)


@pytest.mark.req("ORD-10")
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "stream_drop", "probability": 0.5},
        pytest.param({"kind": "stream_drop", "probability": 1}, marks=pytest.mark.long),
        pytest.param({"kind": "stream_duplicate", "probability": 1}, marks=pytest.mark.long),
        pytest.param(
            {"kind": "stream_delay", "probability": 0.5, "ms": 300}, marks=pytest.mark.long
        ),
        pytest.param({"kind": "stream_stall", "next": 1, "ms": 60_000}, marks=pytest.mark.long),
        pytest.param({"kind": "stream_cut", "probability": 0.3}, marks=pytest.mark.long),
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('probability', '')}".strip(),
)
async def test_whatever_the_stream_does_everything_settles_once(
    database_url: str, tmp_path: Path, fault: dict[str, object]
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        for name in ("prod", "dev"):
            await until_listens(here, name)
        await here.fault(**fault)
        await tell_venue(here, "/settings", fill_at_most="1")
        await send(here, limit("one"), to="prod")
        await send(here, limit("two"), to="dev")
        await until_states(here, ACKED=2)
        for price in ("90", "89", "88", "87"):
            await tell_venue(here, "/price", symbol="SIM001", price=price)
        await until_states(here, FILLED=2)
        await here.until_all_ended()
        await judge(here, 6)
        assert await here.rows("SELECT FROM lanes WHERE blocked IS NOT NULL") == []


@pytest.mark.req("ORD-4", "ORD-10")
async def test_an_instance_hears_for_one_that_has_died(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path, **NEVER) as here:
        await here.run("prod", "dev")
        for name in ("prod", "dev"):
            await until_listens(here, name)
        await send(here, limit("one"), to="dev")
        await until_states(here, ACKED=1)
        here["dev"].kill()
        await tell_venue(here, "/price", symbol="SIM001", price="90")
        await until_states(here, FILLED=1)
        await judge(here, 3)


_STOP = """
INSERT INTO order_intents (client_order_id, lane, portfolio, instrument, position_id, source, leg,
    action, n, verb, broker, account, venue, symbol, exchange, side, quantity, order_type,
    trigger_price, reduce_only, adds_exposure)
SELECT $1, lane, portfolio, instrument, position_id, position_id, leg, 'stop', 1, verb, broker,
    account, venue, symbol, exchange, 'SELL', quantity, 'STOP_MARKET', 95, true, false
FROM order_intents"""


@pytest.mark.req("ORD-7", "ORD-10", "ORD-12")
@pytest.mark.parametrize(
    ("order_class", "kind"),
    [
        ("B", "drop_reply"),
        ("B", "sender dies"),
        *(
            pytest.param(name, kind, marks=pytest.mark.long)
            for name, kind in (
                ("A", "drop_reply"),
                ("A", "sender dies"),
                ("A", "error_before"),
                ("B", "error_before"),
                ("A", "late"),
                ("B", "late"),
            )
        ),
    ],
)
async def test_a_stop_in_doubt_is_found_and_what_it_becomes_is_followed_to_its_fill_once(
    database_url: str, tmp_path: Path, order_class: str, kind: str
) -> None:
    async with world(database_url, tmp_path, order_class=order_class) as here:
        await here.restart()
        await send(here, direct("one", "SIM001", contracts=3))
        await here.until_all_ended()
        dies = kind == "sender dies"
        if dies:
            await here.restart(ONEFILL_FAILPOINT=Failpoint.SEND_AFTER.value)
        else:
            await here.fault(kind=kind, next=1, ms=100, match={"type": "STOP_MARKET"})
        await here.rows(_STOP, "ofone0123456789abcde")
        if dies:
            assert await here.instance.ended() == -9
            await here.restart()
        await until_states(here, FILLED=1, ACKED=1)
        await tell_venue(here, "/price", symbol="SIM001", price="94")
        await until_states(here, FILLED=2)
        ledger = await here.ledger()
        assert set(executions_by_order(ledger).values()) == {1}
        rows = await here.rows("SELECT broker_order_id, filled_value FROM order_intents")
        stop = next(row for row in rows if row["broker_order_id"].startswith("algo-"))
        assert stop["filled_value"] == 3 * 94
        (leg,) = await here.rows("SELECT bought_quantity - sold_quantity AS net FROM position_legs")
        assert leg["net"] == 0
        assert await here.rows("SELECT FROM lanes WHERE blocked IS NOT NULL") == []
