"""Profit, costs and slippage to the rupee: kept, shown, and as the exchange has them."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.signals import gold_mini
from chaos.world import World, send_until_accepted, world
from support import until

PER_ORDER, BUY, SELL = Decimal(20), Decimal("0.0003"), Decimal("0.0013")
COSTS = {
    "ONEFILL_INSTRUMENTS__GOLD_MINI__COSTS__PER_ORDER": "20",
    "ONEFILL_INSTRUMENTS__GOLD_MINI__COSTS__BUY_PERCENT": "0.03",
    "ONEFILL_INSTRUMENTS__GOLD_MINI__COSTS__SELL_PERCENT": "0.13",
    "ONEFILL_JOBS__STATISTICS_EVERY_S": "1",
}
A_GRAM = Decimal("0.1")  # quoted for ten, and a unit is one
PRICES = (78_000, 78_400, 78_900, 78_350)
"""Each of two trades: in and out."""


async def _at(here: World, price: int) -> None:
    body = {"symbol": "GOLD_MINI", "price": str(price)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}/price", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def _trade(here: World, kind: str, order_id: str, price: int, said: int) -> None:
    """At the exchange it trades at one price, the signal says another."""
    await _at(here, price)
    async with aiohttp.ClientSession() as session:
        body = gold_mini(kind, "Long_1", order_id, said)
        await send_until_accepted(session, here.instance.url, body)
    await here.until_all_ended()


def _told_by(ledger: dict[str, list[dict[str, Any]]]) -> tuple[Decimal, Decimal]:
    """Profit before costs, and costs, as the exchange's own book has them."""
    gross, costs = Decimal(0), PER_ORDER * len(ledger["orders"])
    for execution in ledger["executions"]:
        value = Decimal(execution["quantity"]) * Decimal(execution["price"]) * A_GRAM
        is_bought = execution["side"] == "BUY"
        gross += -value if is_bought else value
        costs += value * (BUY if is_bought else SELL)
    return gross, costs


@pytest.mark.req("PF-13", "PF-14", "PF-5", "CTL-20")
async def test_kept_shown_and_recomputed_money_is_the_exchanges_to_the_rupee(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        here.start(**COSTS)
        await here.instance.up()
        in_1, out_1, in_2, out_2 = PRICES
        await _trade(here, "BASE_ENTRY", "1", in_1, in_1 - 5)
        await _trade(here, "EXIT", "2", out_1, out_1 + 3)
        await _trade(here, "BASE_ENTRY", "3", in_2, in_2)
        await _trade(here, "EXIT", "4", out_2, out_2)
        gross, costs = _told_by(await here.ledger())
        assert costs > 80
        (state,) = await here.rows("SELECT realised_pnl, closed_equity FROM portfolio_state")
        assert state["realised_pnl"] == gross - costs
        assert state["closed_equity"] == 5_000_000 + gross - costs
        await _check_statistics(here, gross, costs)
        await _check_legs(here, gross, costs)


async def _check_statistics(here: World, gross: Decimal, costs: Decimal) -> None:
    """The kept figures are those that anybody computes from the fills."""

    async def kept() -> list[dict[str, Any]]:
        query = "SELECT * FROM trading_statistics WHERE trades = 2 ORDER BY instrument"
        return await here.rows(query)

    rows = await until(kept)
    assert rows is not None
    status, shown = await here.ask("prod", "/api/statistics")
    assert (status, [row["instrument"] for row in rows]) == (200, ["ALL", "GOLD_MINI"])
    for row in rows:
        figures = shown["figures"][row["instrument"]]
        assert (row["profit"], row["costs"]) == (gross - costs, costs)
        for name, value in figures.items():
            if name != "exposure_percent":  # it is of the time until it was computed
                assert Decimal(str(value)) == row[name], name
        assert (row["wins"], row["losses"]) == (1, 1)
    _, curve = await here.ask("prod", "/api/equity")
    assert Decimal(curve["points"][-1]["equity"]) == 5_000_000 + gross - costs


async def _check_legs(here: World, gross: Decimal, costs: Decimal) -> None:
    _, page = await here.ask("prod", "/api/positions?closed=true")
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for position in page["items"]:
        (leg,) = position["legs"]
        for name in ("costs", "slippage", "realised"):
            sums[name] += Decimal(leg[name])
    (first, *_) = (await here.ledger())["executions"]
    units = Decimal(first["quantity"])
    assert (sums["realised"], sums["costs"]) == (gross, costs)
    assert sums["slippage"] == units * (5 + 3) * A_GRAM
    _, why = await here.ask("prod", "/api/signals/1/why")
    page = "\n".join(why["lines"])
    assert "5 worse than when it was decided" in page
    assert "Trading the position has cost" in page
