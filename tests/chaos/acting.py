"""What chaos tests do as a person: act over the API, and trade by hand at the venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp

from broker_support import intent_for
from chaos.world import OPERATOR, World
from onefill.brokers.registry import build_brokers, paper_accounts
from onefill.core.ids import ClientOrderId
from onefill.core.orders.report import Placed
from onefill.ports.broker import Broker
from onefill.ports.clock import RealClock
from support import until


async def act(here: World, path: str, method: str = "POST", **body: object) -> tuple[int, Any]:
    """Do it as the operator; the status and the answer."""
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, here.instance.url + path, json=body or None) as response,
    ):
        return response.status, await response.json()


async def until_active(here: World) -> None:
    """Wait until the instance can act on orders."""

    async def active() -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{here.instance.url}/primary") as response,
        ):
            return response.status == 200

    await until(active)


async def by_hand(here: World, name: str, broker: str = "binance", **order: Any) -> None:
    """Place an order at the venue, past all instances, under this client order id."""
    intent = replace(intent_for(broker, **order), client_order_id=ClientOrderId(name))

    async def place(broker: Broker) -> None:
        outcome = await broker.send(await broker.prepare(intent))
        assert isinstance(outcome, Placed), outcome

    await at_the_venue(here, place, broker)


async def at_the_venue(
    here: World, work: Callable[[Broker], Awaitable[None]], name: str = "binance"
) -> None:
    """Work with an adapter of its own at the venue."""
    brokers = build_brokers(paper_accounts(here.venue.url), RealClock())
    broker = next(each for each in brokers.values() if each.name == name)
    await broker.start()
    try:
        await work(broker)
    finally:
        await broker.close()
