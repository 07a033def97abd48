"""PostgreSQL is put back to an older state: nothing is executed twice, and all is explained.

The copies are taken while the signals are received and not decided yet, or not there at all; then
they are executed, and the database forgets it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.test_control_failover import leader_of
from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from postgres_server import PostgresServer
from support import until

NAMES = ("prod", "dev")
FRESH = {"ONEFILL_MAX_AGE_S": "600"}
"""However slow the machine is, what was worth executing still is."""


@dataclass(frozen=True)
class Case:
    """How it happens. restarted: the instances die before, and start after it. promoted: the
    database goes on on a new timeline."""

    mode: str = "active-active"
    order_class: str = "B"
    restarted: bool = False
    promoted: bool = False


CASES = [
    pytest.param(Case(), id="B"),
    pytest.param(Case(mode="active-standby"), id="B-standby", marks=pytest.mark.long),
    pytest.param(Case(order_class="A"), id="A", marks=pytest.mark.long),
    pytest.param(Case(restarted=True), id="B-restarted", marks=pytest.mark.long),
    pytest.param(
        Case(mode="active-standby", promoted=True), id="B-promoted", marks=pytest.mark.long
    ),
]


async def send(here: World, name: str, bodies: Sequence[bytes]) -> None:
    """Send each until it is accepted."""
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await send_until_accepted(session, here[name].url, body)


async def states(here: World) -> list[str]:
    """What each instance says that it is."""
    return [(await here.ask(name, "/api/status"))[1]["state"] for name in NAMES]


async def until_safe(here: World) -> None:
    """Wait until everybody is SAFE."""

    async def safe() -> bool:
        return set(await states(here)) == {"SAFE"}

    await until(safe)


async def until_over(here: World) -> None:
    """Wait until nobody is SAFE any more, and somebody is active."""

    async def over() -> bool:
        seen = await states(here)
        return "SAFE" not in seen and "ACTIVE" in seen

    await until(over)


async def until_held(here: World, lots: int) -> None:
    """Wait until our book holds so many."""
    query = "SELECT coalesce(sum(bought_quantity - sold_quantity), 0) AS lots FROM position_legs"

    async def held() -> bool:
        return int((await here.rows(query))[0]["lots"]) == lots

    await until(held)


def closing(order_id: str, ticker: str) -> bytes:
    """An exit, which never expires and waits for nobody's comparison."""
    body = json.loads(direct(order_id, ticker, action="close"))
    del body["contracts"]
    return json.dumps(body).encode()


def story() -> list[bytes]:
    """Two exits of what is held, and two entries."""
    exits = [closing(f"exit {n}", f"SIM00{n}") for n in (1, 2)]
    return [*exits, direct("entry 3", "SIM003"), direct("entry 4", "SIM004")]


async def copied(here: World, server: PostgresServer, bodies: Sequence[bytes]) -> Path:
    """A copy of the database with two positions, an order that is not sent yet, and these signals,
    which it has received and not decided."""
    await here.run("prod")
    await send(here, "prod", [direct(f"held {n}", f"SIM00{n}") for n in (1, 2)])
    await until_held(here, 2)
    await here.until_all_ended()
    await asyncio.to_thread(here["prod"].stop)
    await here.run("prod", ONEFILL_FAILPOINT="claim_before_commit")
    await send(here, "prod", [direct("unsent", "SIM005")])
    await here["prod"].ended()
    await here.run("prod", ONEFILL_ROLE="intake")
    await send(here, "prod", bodies)
    await asyncio.to_thread(here["prod"].stop)
    folder = here.folder / "copy"
    await asyncio.to_thread(server.copy_to, folder)
    return folder


async def lose(here: World, server: PostgresServer, copy: Path, case: Case) -> None:
    """Put the copy back."""
    if case.restarted:
        for name in NAMES:
            here[name].kill()
    await asyncio.to_thread(server.put_back, copy, promoted=case.promoted)
    if case.restarted:
        await here.run(*NAMES)


async def trades_on(here: World, before: int) -> None:
    """A new signal is executed, once, like all others."""
    await send(here, "prod", [direct("after", "SIM009")])
    await here.until_all_ended()
    executed = executions_by_order(await here.ledger())
    assert sorted(executed.values()) == [1] * (before + 1)


@pytest.mark.req("CTL-8", "OPS-7", "Q-1", "ORD-7")
@pytest.mark.parametrize("case", CASES)
async def test_orders_of_a_lost_history_are_found_at_the_broker_and_never_sent_again(
    own_server: PostgresServer, tmp_path: Path, case: Case
) -> None:
    url = own_server.url_of(own_server.create_database())
    variables = {"ONEFILL_MODE": case.mode, **FRESH}
    async with world(url, tmp_path, order_class=case.order_class, **variables) as here:
        bodies = story()
        copy = await copied(here, own_server, bodies)
        await here.run(*NAMES)
        lost = direct("lost", "SIM006")
        await send(here, "prod", [lost])
        await until_held(here, 4)
        await here.until_all_ended()
        assert len(executions_by_order(await here.ledger())) == 8

        await lose(here, own_server, copy, case)
        await send(here, "dev", [*bodies, lost])  # a sender repeats what it is not sure of
        await until_held(here, 4)
        await until_over(here)
        await trades_on(here, 8)
        told = "SAFE - The database lost commits"
        await until(lambda: any(here[name].logged(told) for name in NAMES))


@pytest.mark.req("CTL-8", "ORD-7")
@pytest.mark.long
async def test_where_orders_bear_no_name_a_person_settles_what_the_database_lost(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path, order_class="C", **FRESH) as here:
        copy = await copied(here, own_server, story())
        await here.run(*NAMES)
        await until_held(here, 3)
        await here.until_all_ended()
        await lose(here, own_server, copy, Case())
        await until_over(here)
        rows = await here.rows("SELECT * FROM order_intents WHERE state = 'QUARANTINED'")
        assert len(rows) == 5
        for row in rows:
            await settle(here, row)
        await until_held(here, 3)
        await trades_on(here, 7)


async def settle(here: World, intent: dict[str, Any]) -> None:
    """Say, as a person, which order at the broker it is."""
    name = intent["client_order_id"]
    (found,) = [
        order
        for order in (await here.ledger())["orders"]
        if (order["symbol"], order["side"]) == (intent["symbol"], intent["side"])
    ]
    ruling = {
        "outcome": "placed",
        "broker_order_id": found["broker_order_id"],
        "filled_quantity": found["filled_quantity"],
        "average_price": found["average_price"],
        "note": "seen in the broker's book",
    }
    active = await leader_of(here, *NAMES)
    status, answer = await here.ask(active, f"/api/orders/{name}/resolve", ruling)
    assert status == 200, answer


@pytest.mark.req("CTL-8", "ORD-9", "IF-7")
@pytest.mark.long
@pytest.mark.parametrize("is_empty", [False, True], ids=["older", "empty"])
async def test_what_nothing_explains_waits_for_a_person_and_then_trading_goes_on(
    own_server: PostgresServer, tmp_path: Path, is_empty: bool
) -> None:
    make = own_server.create_bare_database if is_empty else own_server.create_database
    url = own_server.url_of(make())
    copy = tmp_path / "copy"
    own_server.copy_to(copy)
    async with world(url, tmp_path, **FRESH) as here:
        await here.run(*NAMES)
        await here.until_active("prod")
        await send(here, "prod", [direct("forgotten", "SIM001")])
        await here.until_all_ended()
        await lose(here, own_server, copy, Case())
        await until_safe(here)
        await send(here, "prod", [direct("waits", "SIM002")])
        await until_told(here, "unknown_of_ours")
        assert set(await states(here)) == {"SAFE"}
        assert len(executions_by_order(await here.ledger())) == 1

        refused, answer = await here.ask("dev", "/api/ginie/end-safe", {"yes": False})
        assert (refused, answer["title"]) == (409, "Not confirmed")
        ended, _ = await here.ask("dev", "/api/ginie/end-safe", {"yes": True, "note": "seen"})
        assert ended == 200
        await until_over(here)
        (order,) = (await here.ledger())["orders"]
        await accept(here, str(order["broker_order_id"]))
        await here.until_all_ended()
        await trades_on(here, 2)


async def until_told(here: World, kind: str) -> None:
    """Wait until the last report names such a difference."""

    async def told() -> bool:
        for name in NAMES:
            status, row = await here.ask(name, "/api/reconciliation")
            if status == 200 and kind in {one["kind"] for one in row["report"]["findings"]}:
                return True
        return False

    await until(told)


async def accept(here: World, number: str) -> None:
    """Say, as a person, that an order at the broker was looked at."""
    order = {"broker": "binance", "account": "paper", "broker_order_id": number, "note": "seen"}

    async def accepted() -> bool:
        answers = [await here.ask(n, "/api/reconciliation/accept", order) for n in NAMES]
        return 200 in {status for status, _ in answers}

    await until(accepted)
