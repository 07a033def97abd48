"""The market closes in the middle: of a rollover, of an entry's two legs. Nothing is sent into the
closed market, whoever holds something odd over night is told, and the next opening ends it once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.market_day import HOURS, MarketDay
from chaos.rolling import entered, net, rolled_whole, send, until_status
from chaos.signals import bank_nifty
from chaos.world import World, executions_by_order, world
from onefill.ports.failpoints import Failpoint
from support import until

LONG = pytest.mark.long
CLOSED = "its market is closed: it goes on at"
_ATTEMPTS = "SELECT count(*) FROM order_attempts"


async def _told(here: World, name: str, words: str) -> None:
    await until(lambda: here[name].logged(words))


async def _a_night_passes(here: World, day: MarketDay) -> None:
    """Hours in which the loops look for work again and again, and send nothing."""
    (before,) = await here.rows(_ATTEMPTS)
    await day.it_is(day.closes + timedelta(hours=5))
    (seen,) = await here.rows("SELECT max(id) AS id FROM job_runs")

    async def looked_again() -> bool:
        query = "SELECT count(*) FROM job_runs WHERE job = 'rollover_scan' AND id > $1"
        return (await here.rows(query, seen["id"]))[0]["count"] >= 2

    await until(looked_again)
    assert (await here.rows(_ATTEMPTS))[0] == before
    assert await day.turned_away() == 0


async def _in_the_evening(here: World) -> MarketDay:
    """A position that must roll, twelve minutes before the close of a day in its last week."""
    row = await entered(here)
    return await MarketDay.on(here, row["expiry"] - timedelta(days=6))


async def _rests_half_filled(here: World) -> None:
    async def rests() -> bool:
        query = "SELECT FROM order_intents WHERE state = 'PARTIALLY_FILLED'"
        return bool(await here.rows(query))

    await until(rests)


@pytest.mark.req("PF-24", "PF-21", "PF-12", "SIG-18")
@pytest.mark.parametrize(
    ("dies_at", "status", "held"),
    [
        # Claims, in turn: buy back the put, sell the call, buy the next call, sell the next put.
        pytest.param(
            f"{Failpoint.CLAIM_BEFORE_COMMIT}:2", "closing", {"CE": 1, "PE": 0}, marks=LONG
        ),
        pytest.param(f"{Failpoint.CLAIM_BEFORE_COMMIT}:3", "partial", {}, marks=LONG),
        (f"{Failpoint.CLAIM_BEFORE_COMMIT}:4", "partial", {"CE": 1}),
    ],
    ids=["the call is left", "nothing is left", "the next call is bought"],
)
async def test_a_rollover_that_the_close_cuts_short_waits_aloud_and_is_ended_by_another(
    database_url: str, tmp_path: Path, dies_at: str, status: str, held: dict[str, int]
) -> None:
    async with world(database_url, tmp_path) as here:
        day = await _in_the_evening(here)
        before = await net(here)
        lots = max(before.values())
        here.start(**HOURS, ONEFILL_FAILPOINT=dies_at)
        assert await here.instance.ended() == -9
        await day.close()
        await here.run("dev", **HOURS)
        await _told(here, "dev", CLOSED)
        left = await net(here)
        for kind, sign in held.items():
            assert sum(left[symbol] for symbol in left if symbol.endswith(kind)) == sign * lots
        assert (await day.shown("dev"))["status"] == status
        assert day.shown_moment(await day.shown("dev")) == day.reopens
        assert status in await here.told("dev", "positions")
        await _a_night_passes(here, day)
        here["dev"].kill()
        await day.reopen()
        await here.run("prod", **HOURS)
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        assert len((await here.ledger())["orders"]) == 6
        assert await day.turned_away() == 0


@pytest.mark.req("PF-24", "PF-21", "PF-12", "SIG-18")
@pytest.mark.parametrize("killed", [True, pytest.param(False, marks=LONG)])
async def test_an_order_that_the_close_ends_half_filled_is_told_of_and_the_rest_goes_next_morning(
    database_url: str, tmp_path: Path, killed: bool
) -> None:
    """Two instances see it; the one that leads may die in the night."""
    async with world(database_url, tmp_path) as here:
        day = await _in_the_evening(here)
        before = await net(here)
        await here.fault(kind="partial_fill", quantity="30", next=1)
        await here.run("prod", "dev", **HOURS)
        await _rests_half_filled(here)
        await day.close()
        await until(lambda: any(here[name].logged(CLOSED) for name in ("prod", "dev")))
        critical = "CRITICAL.*" + CLOSED
        await until(lambda: any(here[name].logged(critical) for name in ("prod", "dev")))
        left = await net(here)
        assert sorted(left.values()) == [-60, 90]
        await _a_night_passes(here, day)
        if killed:
            leader = "prod" if (await here.status("prod"))["is_active"] else "dev"
            here[leader].kill()
        await day.reopen()
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        assert len((await here.ledger())["orders"]) == 7  # the put was bought back in two
        assert await day.turned_away() == 0


@pytest.mark.req("PF-21", "PF-20", "SIG-18")
@pytest.mark.parametrize("how", ["unsent", pytest.param("half filled", marks=LONG)])
async def test_an_entry_that_the_close_cuts_short_is_told_of_and_undone_next_morning(
    database_url: str, tmp_path: Path, how: str
) -> None:
    async with world(database_url, tmp_path) as here:
        day = await MarketDay.on(here, (datetime.now(UTC) - timedelta(days=9)).date())
        if how == "unsent":
            here.start(**HOURS, ONEFILL_FAILPOINT=f"{Failpoint.CLAIM_BEFORE_COMMIT}:2")
        else:
            await here.fault(kind="partial_fill", quantity="30", match={"side": "SELL"}, next=1)
            here.start(**HOURS)
        await here.instance.up()
        await send(here, bank_nifty("BASE_ENTRY", "Long_1", "one"))
        if how == "unsent":
            assert await here.instance.ended() == -9
        else:
            await _rests_half_filled(here)
        await day.close()
        here.instance.kill()
        await here.run("dev", **HOURS)
        await _told(here, "dev", "CRITICAL.*" + CLOSED)
        shown = await day.shown("dev")
        assert (shown["status"], day.shown_moment(shown)) == ("partial", day.reopens)
        await _a_night_passes(here, day)
        here["dev"].kill()
        await day.reopen()
        await here.run("prod", **HOURS)
        # What both legs hold alike is kept; the rest would be an entry at another day's price.
        await until_status(here, "closed" if how == "unsent" else "open")
        kept = 0 if how == "unsent" else 30
        assert sorted(map(abs, (await net(here)).values())) == ([0] if not kept else [30, 30])
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        assert await day.turned_away() == 0
        await here.until_all_ended()
