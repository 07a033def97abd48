"""What a person trades at the broker, and what was filled unheard: found, told, settled.

At both brokers' dialects, by the command line that a person would use, judged by the venue.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.acting import act, by_hand, until_active
from chaos.world import OPERATOR, World, direct, send_until_accepted, world
from onefill.core.intent import OrderType, Side
from support import until


@dataclass(frozen=True)
class Market:
    """Where a scenario trades: by ticker with us, by symbol there, in lots."""

    here: World
    broker: str
    exchange: str
    symbols: tuple[str, str, str]
    lot: int

    def ticker(self, place: int) -> str:
        """As TradingView names it."""
        symbol = self.symbols[place]
        return f"{self.exchange}:{symbol}" if self.exchange else symbol

    async def send(self, name: str, place: int, lots: int = 1, action: str = "buy") -> None:
        """A signal, taken in."""
        body = direct(name, self.ticker(place), action=action, contracts=lots * self.lot)
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, self.here.instance.url, body)

    async def trade_by_hand(self, name: str, place: int, side: Side, lots: int) -> None:
        """At market, past all instances."""
        order = {"symbol": self.symbols[place], "exchange": self.exchange, "side": side}
        await by_hand(self.here, name, self.broker, quantity=Decimal(lots * self.lot), **order)

    async def there(self) -> dict[str, Decimal]:
        """What the venue holds."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.here.venue.url}/positions") as response,
        ):
            rows = (await response.json())["positions"]
        return {row["symbol"]: Decimal(row["quantity"]) for row in rows}

    async def ours(self) -> dict[str, Decimal]:
        """What our book holds."""
        rows = await self.here.rows(
            "SELECT symbol, sum(bought_quantity - sold_quantity) AS net FROM position_legs "
            "GROUP BY symbol HAVING sum(bought_quantity - sold_quantity) <> 0"
        )
        return {row["symbol"]: row["net"] for row in rows}

    async def until_held(self, *lots: int) -> None:
        """Wait until our book holds so many lots, by place."""
        wanted = {
            symbol: Decimal(count * self.lot)
            for symbol, count in zip(self.symbols, lots, strict=False)
            if count
        }

        async def so() -> bool:
            return await self.ours() == wanted

        await until(so)

    async def reconcile(self, *arguments: str) -> str:
        """What `onefill reconcile` prints."""
        command = [sys.executable, "-m", "onefill", "reconcile", *arguments]
        process = await asyncio.create_subprocess_exec(
            *command,
            "--url",
            self.here.instance.url,
            env={
                "ONEFILL_OPERATOR_TOKEN": OPERATOR,
                "COLUMNS": "180",
                "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    async def until_clean(self, *arguments: str) -> None:
        """Wait until a comparison finds nothing that is not settled."""

        async def clean() -> bool:
            return "All books agree" in await self.reconcile(*arguments)

        await until(clean)

    async def judge(self) -> None:
        """Our book and the venue hold the same, and the book adds up at the next start."""
        assert await self.ours() == await self.there()
        await self.here.restart()
        assert not self.here.instance.logged("broken_promise")
        await until_active(self.here)
        await self.until_clean()


OPTIONS = ("BANKNIFTY29JAN3060000CE", "BANKNIFTY29JAN3060100CE", "BANKNIFTY29JAN3060200CE")
MARKETS = {
    "binance": ("", ("SIM001", "SIM002", "SIM003"), 1),
    "openalgo": ("NFO", OPTIONS, 30),
}


def at_both(name: str, *, short: bool) -> Any:
    """One of the markets, in long runs only unless it is the one for short ones."""
    return pytest.param(name, marks=() if short else pytest.mark.long)


in_short_at = {
    name: pytest.mark.parametrize(
        "market", [at_both(each, short=each == name) for each in MARKETS], indirect=True
    )
    for name in MARKETS
}
"""At both, one of them in short runs."""


@pytest.fixture(params=sorted(MARKETS))
async def market(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Market]:
    """A running instance that holds two lots of the first symbol and one of the second."""
    exchange, symbols, lot = MARKETS[request.param]
    async with world(database_url, tmp_path, ONEFILL_DIRECT_BROKER=request.param) as here:
        await here.restart()
        await until_active(here)
        market = Market(here, request.param, exchange, symbols, lot)
        await market.send("one", 0, lots=2)
        await market.send("two", 1)
        await market.until_held(2, 1)
        yield market


@pytest.mark.req("ORD-9", "IF-7")
async def test_what_was_closed_and_bought_by_hand_is_told_and_booked_on_a_persons_word(
    market: Market,
) -> None:
    await market.trade_by_hand("closes", 0, Side.SELL, 2)
    await market.trade_by_hand("adds", 1, Side.BUY, 3)
    said = await market.reconcile()
    for words in ("The books differ", *market.symbols[:2], "by hand: order", "--apply"):
        assert words in said, said
    assert await market.ours() != await market.there()
    applied = await market.reconcile("--apply", "--note", "closed by phone")
    assert "booked" in applied, applied
    await market.until_held(0, 4)
    await market.until_clean()
    fills = await market.here.rows(
        "SELECT f.price FROM fills f JOIN order_intents i USING "
        "(client_order_id) WHERE i.action = 'adjust'"
    )
    assert len(fills) == 2
    assert all(row["price"] > 0 for row in fills)
    (line,) = await market.here.rows(
        "SELECT actor, details::json ->> 'note' AS note FROM audit_log "
        "WHERE action = 'reconciliation.adjust'"
    )
    assert (line["actor"], line["note"]) == ("operator", "closed by phone")
    await market.send("close", 1, action="close")
    await market.until_held()
    await market.judge()


@pytest.mark.req("ORD-9", "PF-12")
@in_short_at["openalgo"]
async def test_an_exit_never_sells_what_was_closed_by_hand(market: Market) -> None:
    await market.trade_by_hand("closes", 0, Side.SELL, 2)
    await market.send("close", 0, action="close")

    async def refused() -> bool:
        rows = await market.here.rows(
            "SELECT reason FROM order_intents WHERE action = 'close' AND state = 'REJECTED'"
        )
        return any(row["reason"].startswith("nothing_to_reduce") for row in rows)

    await until(refused)
    assert market.symbols[0] not in await market.there()
    await market.until_clean("--apply", "--note", "closed by phone")
    await market.until_held(0, 1)
    await market.here.until_all_ended()
    await market.judge()


@pytest.mark.req("ORD-9", "IF-7")
@in_short_at["binance"]
async def test_a_wrong_quantity_that_nothing_explains_needs_a_persons_price(
    market: Market,
) -> None:
    for table, columns in (
        ("fills", "quantity = 3 * quantity, value = 3 * value, cumulative_quantity = 3 * quantity"),
        (
            "order_intents",
            "quantity = 3 * quantity, filled_quantity = 3 * filled_quantity, "
            "filled_value = 3 * filled_value",
        ),
        (
            "position_legs",
            "bought_quantity = 3 * bought_quantity, "
            "bought_value = 3 * bought_value, quantity = 3 * quantity",
        ),
    ):
        symbol = market.symbols[0]
        await market.here.rows(f"UPDATE {table} SET {columns} WHERE symbol = $1", symbol)
    said = await market.reconcile("--apply")
    assert "no order there explains it" in said, said
    assert "--price" in said, said
    await market.until_held(6, 1)
    name = f"{market.broker}/paper/{market.symbols[0]}"
    await market.reconcile("--price", f"{name}=100", "--note", "the book was wrong")
    await market.until_held(2, 1)
    await market.until_clean()


@pytest.mark.req("ORD-9", "ORD-10")
@in_short_at["openalgo"]
async def test_a_part_that_filled_before_and_a_rest_that_filled_while_nobody_was_there(
    market: Market,
) -> None:
    await market.here.fault(kind="partial_fill", next=1, quantity=str(market.lot))
    await market.send("three", 2, lots=3)

    async def partly() -> bool:
        rows = await market.here.rows("SELECT FROM order_intents WHERE state = 'PARTIALLY_FILLED'")
        return bool(rows)

    await until(partly)
    market.here.instance.kill()
    moved = "BANKNIFTY" if market.broker == "openalgo" else market.symbols[2]
    async with aiohttp.ClientSession() as session:
        for price in ("60010", "60020", "60030") if market.exchange else ("99", "98", "97"):
            body = {"symbol": moved, "price": price}
            async with session.post(f"{market.here.venue.url}/price", json=body) as response:
                assert response.status == 200
    # As if what came then had been lost for good: the book believes that the order is over.
    await market.here.rows(
        "UPDATE order_intents SET state = 'CANCELLED' WHERE state = 'PARTIALLY_FILLED'"
    )
    market.here.start()
    await market.here.instance.up()
    await market.until_held(2, 1, 3)

    async def reported() -> bool:  # it is written after what it tells of is booked
        rows = await market.here.rows("SELECT report FROM reconciliations")
        return any('"missed_fill"' in row["report"] for row in rows)

    await until(reported)
    await market.judge()


@pytest.mark.req("ORD-9")
@in_short_at["openalgo"]
async def test_an_order_that_somebody_left_there_is_a_stranger_and_blocks_nothing(
    market: Market,
) -> None:
    limit = {"order_type": OrderType.LIMIT, "price": Decimal(1), "side": Side.BUY}
    order = {"symbol": market.symbols[2], "exchange": market.exchange, **limit}
    await by_hand(market.here, "left", market.broker, quantity=Decimal(market.lot), **order)
    said = await market.reconcile()
    assert "stranger" in said, said
    status, row = await act(market.here, "/api/reconciliation", "GET")
    assert status == 200
    assert [finding["kind"] for finding in row["report"]["findings"]] == ["stranger"]
    await market.send("three", 2)
    await market.until_held(2, 1, 1)
