"""One term of leadership: from the epoch's grant to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from onefill.core.control.states import ControlEvent
from onefill.core.errors import Fenced
from onefill.core.ids import Epoch
from onefill.flow.resolver import Resolver
from onefill.jobs.runner import Runner
from onefill.node.state import NodeState
from onefill.node.work import Work


class Term(Protocol):
    """What runs only while leading."""

    async def run(self, epoch: Epoch) -> None:
        """Run until cancelled. Raises Fenced (in a group) when the epoch is over."""
        ...

    async def stop(self) -> None:
        """Once `run` has ended: finish what was begun, and store what came of it."""
        ...

    def abandon(self) -> None:
        """Start nothing more, at once."""
        ...


class Watcher(Protocol):
    """A loop that writes nothing by itself, and so needs no epoch."""

    async def run(self) -> None:
        """Run until cancelled."""
        ...


class SoleTerm:
    """Active-standby: the leader alone executes, each step fenced by its epoch."""

    def __init__(
        self,
        state: NodeState,
        work: Work,
        resolver: Resolver,
        watchers: Sequence[Watcher],
        jobs: Runner,
    ) -> None:
        self._state = state
        self._work = work
        self._resolver = resolver
        self._watchers = watchers
        self._jobs = jobs

    async def run(self, epoch: Epoch) -> None:
        """Recover, then act until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._resolver.run(epoch))
            loops.create_task(
                self._work.run(epoch, able=lambda: self._state.move(ControlEvent.ABLE))
            )
            loops.create_task(self._work.reconcile(epoch))
            loops.create_task(self._jobs.run(epoch))
            for watcher in self._watchers:
                loops.create_task(watcher.run())

    async def stop(self) -> None:
        """Every request sent has its answer stored."""
        await self._resolver.drained()
        await self._work.stop()

    def abandon(self) -> None:
        """What is not claimed is left to whoever leads next."""
        self._work.abandon()


class SharedTerm:
    """Active-active: all execute; the leader settles what others left, and compares the books."""

    def __init__(
        self,
        state: NodeState,
        work: Work,
        resolver: Resolver,
        watchers: Sequence[Watcher],
        jobs: Runner,
    ) -> None:
        self._state = state
        self._work = work
        self._resolver = resolver
        self._watchers = watchers
        self._jobs = jobs

    async def run(self, epoch: Epoch) -> None:
        """Act as leader until cancelled."""
        if self._state.broken:
            self._state.move(ControlEvent.BOOK_BROKEN)
            return
        self._work.uncover()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._resolver.run(epoch))
            loops.create_task(self._work.reconcile(epoch))
            loops.create_task(self._jobs.run(epoch))
            for watcher in self._watchers:
                loops.create_task(watcher.run())
            self._state.move(ControlEvent.ABLE)

    async def stop(self) -> None:
        """What was sent again has its answer stored; the rest another could go on with."""
        await self._resolver.drained()
        await self._work.settled()

    def abandon(self) -> None:
        """Executing goes on: it does not rest on leading."""


async def run_fenced(
    term: Term, epoch: Epoch, state: NodeState, fenced: Callable[[], None]
) -> None:
    """Run the term to its end; a refusal by the fence is one, and is told."""
    try:
        await term.run(epoch)
    except* Fenced:
        state.move(ControlEvent.REFUSED)
        fenced()
