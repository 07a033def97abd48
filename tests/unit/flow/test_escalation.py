"""An alarm that nobody hears is repeated, louder; one that somebody heard is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from manual_clock import ManualClock
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent
from onefill.flow.escalation import Escalation
from onefill.ports.doubts import Waiting
from support import until

SINCE = datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
ORDER = Waiting(
    client_order_id=ClientOrderId("ofone1"),
    lane=Lane("main/SIM001"),
    since=SINCE,
    now=SINCE + timedelta(minutes=3),
    reason="looked for in vain",
)


class Doubts:
    """A store with one quarantined order until it is acknowledged."""

    def __init__(self) -> None:
        self.waiting = [ORDER]

    async def unacknowledged(self, limit: int) -> Sequence[Waiting]:
        return self.waiting[:limit]

    async def lingering(self, limit: int) -> Sequence[OrderIntent]:
        return []

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        return []


@pytest.mark.req("ORD-7")
async def test_a_quarantine_is_shouted_again_and_again_until_somebody_knows() -> None:
    clock, doubts = ManualClock(), Doubts()
    escalation = Escalation(store=doubts, clock=clock, every_s=60)
    with capture_logs() as lines:
        running = asyncio.create_task(escalation.run())
        await until(lambda: len(lines) == 1)
        for _ in range(60):
            await clock.advance(1)
        await until(lambda: len(lines) == 2)
        doubts.waiting.clear()
        for _ in range(180):
            await clock.advance(1)
        running.cancel()
    assert [(line["log_level"], line["level"]) for line in lines] == [
        ("critical", 1),
        ("critical", 2),
    ]
    assert lines[0]["minutes"] == 3
    assert "onefill resolve" in lines[0]["remedy"]
