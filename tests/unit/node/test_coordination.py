"""What instances tell of control: changes elsewhere, and two stores that can't both be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.node.coordination import NodeCoordination, Sources
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import RealClock
from onefill.ports.hints import Topic
from onefill.ports.metrics import Metrics
from onefill.ports.rows import InstanceRow, LeaderRow
from onefill.ports.witness import NoWitness, Witness, Witnessed
from support import until


class Store:
    """The lease as it is read, while the store is reached."""

    def __init__(self, instance: str, epoch: int) -> None:
        self.lease = LeaderRow(instance=instance, epoch=epoch, remaining_ms=900, url=None)
        self.is_reached = True
        self.asked = 0

    async def leader(self) -> LeaderRow:
        self.asked += 1
        if not self.is_reached:
            raise StoreUnavailable("the test cut it off")
        return self.lease

    async def instances(self) -> Sequence[InstanceRow]:
        return ()

    async def latest(self, resource: str) -> None:
        return None


class Saw(NoWitness):
    """A witness that remembers this; None: it can't be asked."""

    connected: bool | None = True

    def __init__(self, seen: Witnessed | None) -> None:
        self._seen = seen

    async def read(self, resource: str) -> Witnessed | None:
        return self._seen


def coordination_on(store: Store, witness: Witness) -> NodeCoordination:
    """As an instance that follows has it."""
    any_store: Any = store
    sources = Sources(
        views=any_store, requests=any_store, history=any_store, witness=witness, audit=any_store
    )
    return NodeCoordination(
        state=NodeState("third", "boot"),
        sources=sources,
        sync=SyncHealth(Metrics()),
        clock=RealClock(),
        takeover=None,
        giving=None,
        changed=Topic(),
    )


@pytest.mark.req("IF-4")
async def test_who_watches_hears_that_two_others_have_exchanged_control() -> None:
    store = Store("prod", 7)
    coordination = coordination_on(store, NoWitness())
    told = asyncio.Event()
    forget = coordination.subscribe(told.set)
    watching = asyncio.create_task(coordination.watch())
    await until(lambda: store.asked)
    store.lease = LeaderRow(instance="dev", epoch=8, remaining_ms=900, url=None)
    await asyncio.wait_for(told.wait(), 60)
    forget()
    watching.cancel()


@pytest.mark.req("CTL-7")
@pytest.mark.parametrize(
    ("reached", "witness", "conflict"),
    [
        (True, Saw(Witnessed(epoch=Epoch(6), holder="dev")), True),
        (True, Saw(Witnessed(epoch=Epoch(7), holder="prod")), False),
        (True, Saw(Witnessed(epoch=Epoch(6), holder=None)), False),
        (True, Saw(None), None),
        (True, NoWitness(), False),
        (False, Saw(Witnessed(epoch=Epoch(7), holder="prod")), None),
        (False, NoWitness(), None),
    ],
)
async def test_a_conflict_is_one_only_where_both_are_known_and_unknown_is_null(
    reached: bool, witness: Witness, conflict: bool | None
) -> None:
    store = Store("prod", 7)
    store.is_reached = reached
    report = await coordination_on(store, witness).detect_split_brain()
    assert report.conflict is conflict
    assert report.db_leader == ("prod" if reached else None)
    assert report.db_epoch == (7 if reached else None)
