"""Hundreds of orders at a venue that loses, delays, doubles and lies, while instances die.

Two instances take signals in and take control from each other, by chance, by hand and by force.
ONEFILL_CHAOS_ORDERS sets how many orders a class gets; `make chaos` takes thousands.
ONEFILL_CHAOS_SEED repeats the enemy's plan. Where a venue can't be asked about an order, a person
settles what was set apart by the venue's own books; so in the end each signal was executed, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chaos.enemy import NAMES, Enemy
from chaos.judge import judge
from chaos.ledger_judge import complaints
from chaos.person import Person, at_the_desk
from chaos.world import World, direct, send_until_accepted, world
from support import until

ORDERS = int(os.environ.get("ONEFILL_CHAOS_ORDERS", "40"))
SEED = int(os.environ.get("ONEFILL_CHAOS_SEED", "1"))
ORDERS_A_DEED, LOTS = 20, 2
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "drop_reply", "probability": 0.06},
    {"kind": "error_after", "probability": 0.05},
    {"kind": "error_before", "probability": 0.05},
    {"kind": "lying_400", "probability": 0.05},
    {"kind": "late", "probability": 0.05, "ms": 600},
    {"kind": "late_fill", "probability": 0.05, "ms": 120},
    {"kind": "duplicate_fill", "probability": 0.2},
    {"kind": "latency", "probability": 0.1, "ms": 40},
    {"kind": "drop_reply", "probability": 0.05, "match": {"kind": "query"}},
    {"kind": "error_before", "probability": 0.05, "match": {"kind": "query"}},
)


@dataclass(frozen=True)
class Market:
    """Where orders go: by ticker with us, by symbol there; the prices that move it."""

    broker: str
    exchange: str
    symbols: tuple[str, ...]
    lot: int
    prices: dict[str, str]

    def symbol(self, number: int) -> str:
        """Of the signal of that number."""
        return self.symbols[number % len(self.symbols)]

    def ticker(self, number: int) -> str:
        """As TradingView names it."""
        name = self.symbol(number)
        return f"{self.exchange}:{name}" if self.exchange else name


_SIMULATED = tuple(f"SIM{number:03d}" for number in range(1, 101))
_OPTIONS = tuple(f"BANKNIFTY29JAN30{strike}CE" for strike in range(55_000, 65_000, 100))
BINANCE = Market("binance", "", _SIMULATED, 1, dict.fromkeys(_SIMULATED, "100"))
OPENALGO = Market("openalgo", "NFO", _OPTIONS, 30, {"BANKNIFTY": "60000"})


@pytest.mark.slow
@pytest.mark.req("ORD-4", "ORD-5", "ORD-7", "ORD-10", "ORD-13", "Q-1")
@pytest.mark.timeout(900 + 2 * ORDERS)
@pytest.mark.parametrize(
    ("market", "order_class", "mode"),
    [
        (BINANCE, "A", "active-standby"),
        (BINANCE, "B", "active-active"),
        pytest.param(BINANCE, "C", "active-active", marks=pytest.mark.long),
        (OPENALGO, "C", "active-active"),
        pytest.param(BINANCE, "B", "active-standby", marks=pytest.mark.long),
    ],
    ids=lambda value: value.broker if isinstance(value, Market) else value,
)
async def test_no_client_order_id_executes_twice_whatever_the_venue_does(
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    market: Market,
    order_class: str,
    mode: str,
) -> None:
    more = {"ONEFILL_MAX_AGE_S": "3600", "ONEFILL_MODE": mode}
    more["ONEFILL_DIRECT_BROKER"] = market.broker
    async with world(
        database_url, tmp_path, order_class=order_class, is_patient=False, **more
    ) as here:
        parts = {"kind": "partial_fill", "probability": 0.1, "quantity": str(market.lot)}
        for fault in (*FAULTS, parts):
            await here.fault(**fault)
        await here.run(*NAMES)
        enemy = Enemy(here, random.Random(SEED))
        async with _moving(market, here), _helped(here, order_class) as person:
            for first in range(0, ORDERS, ORDERS_A_DEED):
                numbers = range(first, min(first + ORDERS_A_DEED, ORDERS))
                sending = asyncio.create_task(_send(here, market, numbers))
                await enemy.strike(sending)
                await sending
            for name in NAMES:
                here[name].kill()
            await here.run(*NAMES)
            await until(lambda: _all_executed(here), 240 + ORDERS / 2)
        await _judge(here, market)
        reigns = len(await here.reigns())
    with capsys.disabled():
        what = f"{market.broker} {order_class} {mode}"
        deeds = {**enemy.done, **({"by a person": dict(person.done)} if person else {})}
        print(f" {what}: {ORDERS} orders, {reigns} reigns, {deeds}")


async def _all_executed(here: World) -> bool:
    """Those too that a person ruled out at first, and placed again."""
    left = "SELECT FROM signal_log WHERE processing_status <> 'executed' LIMIT 1"
    return not await here.rows(left)


async def _judge(here: World, market: Market) -> None:
    """The venue's ledger alone against what was sent; then the whole story against the ledger."""
    ledger = await here.ledger()
    wished = Counter(market.symbol(number) for number in range(ORDERS))
    wanted = {symbol: Decimal(times * LOTS * market.lot) for symbol, times in wished.items()}
    assert complaints(ledger, wanted, all_of_it=True) == []
    await judge(here.database_url, here.venue.url, signals=ORDERS)


@contextlib.asynccontextmanager
async def _helped(here: World, order_class: str) -> AsyncIterator[Person | None]:
    """Class C needs somebody who looks at the exchange's books; the others need nobody."""
    if order_class != "C":
        yield None
        return
    async with at_the_desk(here) as person:
        yield person


async def _send(here: World, market: Market, numbers: range) -> None:
    """Each signal to either instance until one takes it in, and one in ten to both."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def send(number: int) -> None:
            body = direct(f"s{number}", market.ticker(number), contracts=LOTS * market.lot)
            first, second = NAMES if number % 2 else reversed(NAMES)
            await send_until_accepted(session, here[first].url, body)
            if number % 10 == 0:
                await send_until_accepted(session, here[second].url, body)

        await asyncio.gather(*(send(number) for number in numbers))


@contextlib.asynccontextmanager
async def _moving(market: Market, here: World) -> AsyncIterator[None]:
    """Each price is set again every second: what filled in part fills on."""

    async def move(ended: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as session:
            while not ended.is_set():
                for symbol, price in market.prices.items():
                    body = {"symbol": symbol, "price": price}
                    async with session.post(f"{here.venue.url}/price", json=body) as answer:
                        await answer.read()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 1)

    ended = asyncio.Event()
    moving = asyncio.create_task(move(ended))
    try:
        yield
    finally:
        ended.set()
        await moving
