"""A history that can't be read ends no loop, and so no instance."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from onefill.core.control.lease import LeaseTiming
from onefill.core.errors import Bug
from onefill.core.ids import Epoch
from onefill.lead.damping import Damping
from onefill.ports.clock import RealClock
from support import until


class Quick(RealClock):
    """Nobody waits."""

    async def sleep(self, seconds: float) -> None:
        """One turn of the loop."""
        await asyncio.sleep(0)


class Leading:
    """As an elector that leads; keeps the times that it is given."""

    epoch = Epoch(7)

    def __init__(self) -> None:
        self.timings: list[LeaseTiming] = []

    def retime(self, timing: LeaseTiming) -> None:
        self.timings.append(timing)


@pytest.mark.req("CTL-18", "CTL-4")
async def test_a_history_that_can_not_be_read_leaves_the_lease_as_it_is_until_it_can() -> None:
    tried: list[int] = []

    async def wrong_takeovers(within_s: float) -> int:
        tried.append(1)
        if len(tried) < 3:
            raise Bug("the table is gone")
        return 3

    elector, timing = Leading(), LeaseTiming()
    damping = Damping(
        elector=cast("Any", elector),
        timing=timing,
        wrong_takeovers=wrong_takeovers,
        clock=Quick(),
    )
    running = asyncio.create_task(damping.run())
    await until(lambda: elector.timings)
    assert elector.timings[0].ttl_ms == 2 * timing.ttl_ms
    running.cancel()
