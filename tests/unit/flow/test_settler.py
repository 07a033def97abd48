"""Who hands control over waits until what was heard is stored, and for no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from onefill.core.ids import ClientOrderId
from onefill.core.orders.report import Unknown
from onefill.core.orders.settlement import Told
from onefill.flow.settler import Settler
from onefill.node.term import SharedTerm
from onefill.ports.clock import RealClock
from onefill.ports.trading import Settled
from support import until
from turns import settle


class OneAtATime:
    """A store that keeps each group until the test lets one go."""

    def __init__(self) -> None:
        self.stored: list[Told] = []
        self.may_go = asyncio.Semaphore(0)
        self.groups = 0

    async def settle(self, told: Sequence[Told], how: object) -> Settled:
        self.groups += 1
        await self.may_go.acquire()
        self.stored += told
        return Settled()


def word(n: int) -> Told:
    return Told(client_order_id=ClientOrderId(f"o{n}"), attempt=1, word=Unknown(detail="a test"))


class Idle:
    """As a resolver that has nothing under way, and work that only settles."""

    def __init__(self, settler: Settler) -> None:
        self.settled = settler.drained

    async def drained(self) -> None:
        """Nothing is under way."""


@pytest.mark.req("CTL-2", "CTL-11", "ORD-4")
async def test_active_active_hands_over_when_what_was_heard_is_stored_whatever_comes_after() -> (
    None
):
    store = OneAtATime()
    settler = Settler(
        store=cast("Any", store),
        settle=cast("Any", None),
        hand_on=lambda _: None,
        clock=RealClock(),
    )
    running = asyncio.create_task(settler.run())
    idle = cast("Any", Idle(settler))
    term = SharedTerm(cast("Any", None), idle, idle, (), cast("Any", None))
    await term.stop()  # nothing was said yet
    settler.tell(word(1))
    await until(lambda: store.groups == 1)
    settler.tell(word(2))
    stopping = asyncio.create_task(term.stop())
    await settle()
    assert not stopping.done()
    store.may_go.release()
    await until(lambda: store.groups == 2)
    settler.tell(word(3))
    await settle()
    assert not stopping.done()
    store.may_go.release()
    await until(stopping.done)
    await until(lambda: store.groups == 3)
    assert [told.client_order_id for told in store.stored] == ["o1", "o2"]
    running.cancel()
