"""A position rolls at a real venue, its process dies at each step: one close, one open."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.rolling import ROLLS, another_rolls, entered, net, rolled_whole, until_status
from chaos.world import executions_by_order, world
from onefill.ports.failpoints import Failpoint

# Four orders: buy back the put, sell the call; then buy the next call, sell the next put.
ON_THE_WAY = [
    f"{Failpoint.DECIDE_BEFORE_COMMIT}:1",
    f"{Failpoint.DECIDE_AFTER_COMMIT}:1",
    f"{Failpoint.CLAIM_BEFORE_COMMIT}:3",
    *(f"{Failpoint.SEND_AFTER}:{n}" for n in (2, 3)),
    f"{Failpoint.SETTLE_BEFORE_COMMIT}:4",
]
AND_ALL_THE_OTHERS = [
    *(f"{Failpoint.CLAIM_BEFORE_COMMIT}:{n}" for n in (1, 2, 4)),
    *(f"{Failpoint.SEND_AFTER}:{n}" for n in (1, 4)),
    *(f"{Failpoint.SETTLE_BEFORE_COMMIT}:{n}" for n in (2, 6)),
]


@pytest.mark.req("PF-24", "OPS-1")
@pytest.mark.parametrize(
    "point",
    ["", *ON_THE_WAY, *(pytest.param(p, marks=pytest.mark.long) for p in AND_ALL_THE_OTHERS)],
)
async def test_a_rollover_closes_once_and_opens_once_whoever_dies(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        await entered(here)
        before = await net(here)
        here.start(**ROLLS, ONEFILL_FAILPOINT=point)
        if point:
            assert await here.instance.ended() == -9
            await another_rolls(here)
        await until_status(here, "open", rolled=1)
        await rolled_whole(here, before)
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        assert len((await here.ledger())["orders"]) == 6
