"""A position that rolls at once, whoever leads next; and the ids of the orders that roll it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import aiohttp

from chaos.signals import bank_nifty
from chaos.world import World, send_until_accepted
from onefill.core.ids import PositionId, client_order_id, position_id
from support import until

# Sixty days before its end a contract is to be left: the one that the entry took is.
ROLLS = {
    "ONEFILL_INSTRUMENTS__BANK_NIFTY__ROLLOVER_DAYS": "60",
    "ONEFILL_JOBS__ROLLOVER_EVERY_S": "1",
}
STEPS = ("cover the put", "sell the call", "buy the next call", "sell the next put")
"""A rollover's orders, in turn."""


async def send(here: World, body: bytes, name: str = "prod") -> None:
    """Until an instance has taken it in."""
    async with aiohttp.ClientSession() as session:
        await send_until_accepted(session, here[name].url, body)


async def entered(here: World) -> dict[str, Any]:
    """A position is opened by an instance that then ends; its row."""
    here.start()
    await here.instance.up()
    await send(here, bank_nifty("BASE_ENTRY", "Long_1", "one"))
    await until_status(here, "open")
    here.instance.kill()
    (row,) = await here.rows("SELECT * FROM portfolio_positions")
    return row


async def until_status(here: World, status: str, rolled: int = 0) -> None:
    """Wait for a position of that status that was rolled so often."""

    async def found() -> bool:
        rows = await here.rows(
            "SELECT FROM portfolio_positions WHERE status = $1 AND rollover_count = $2",
            status,
            rolled,
        )
        return bool(rows)

    await until(found)


async def another_rolls(here: World, **variables: str) -> None:
    """Another instance, of another folder and name, goes on with whatever it finds."""
    here["dev"].start({**here.environment, **ROLLS, **variables})
    await here["dev"].up()


async def net(here: World) -> Counter[str]:
    """What is held of each symbol by the exchange's own account."""
    held: Counter[str] = Counter()
    for execution in (await here.ledger())["executions"]:
        sign = 1 if execution["side"] == "BUY" else -1
        held[execution["symbol"]] += sign * int(float(execution["quantity"]))
    return held


async def at_leg(here: World, position: PositionId) -> dict[str, str]:
    """The first ids of the four orders that roll this position, by what they do."""
    (row,) = await here.rows("SELECT min(client_order_id) AS name FROM order_intents")
    ours = str(row["name"])[2:5]
    after = position_id(position, "Long_1")
    orders = ((position, "pe", "close"), (position, "ce", "close"))
    opens = ((after, "ce", "open"), (after, "pe", "open"))
    names = [client_order_id(ours, *order, 1) for order in (*orders, *opens)]
    return dict(zip(STEPS, names, strict=True))


async def rolled_whole(here: World, before: Counter[str]) -> None:
    """Nothing of the old contract is held, and as much of one next contract as was."""
    after = await net(here)
    assert {after[symbol] for symbol in before} == {0}
    new = {symbol: held for symbol, held in after.items() if held}
    assert sorted(symbol[-2:] for symbol in new) == ["CE", "PE"]
    assert len({symbol[:-2] for symbol in new}) == 1
    assert sum(new.values()) == 0
    (roll,) = await here.rows("SELECT status, basis FROM rollovers")
    assert roll["status"] == "rolled"
    assert roll["basis"] is not None
