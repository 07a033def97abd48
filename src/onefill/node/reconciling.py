"""When to reconcile: at the start of a term, every so often, and when a person asks (ORD-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.flow.reconciler import Reconciled, Reconciler
from onefill.node.state import NodeState
from onefill.ports.hints import Inbox
from onefill.ports.views import ReconcileWish

RETRY_S, RETRY_MAX_S, RETRY_SAFE_MAX_S = 1.0, 30.0, 5.0
ASK_WITHIN_S = 30.0

log = structlog.get_logger()

_Asked = tuple[ReconcileWish, "asyncio.Future[None]"]


class Explains(Protocol):
    """Ends SAFE. Both raise StoreUnavailable, Fenced."""

    async def before(self, epoch: Epoch) -> None:
        """A comparison with the brokers begins."""
        ...

    async def after(self, epoch: Epoch, result: Reconciled) -> None:
        """It has ended with this."""
        ...


class Reconciling:
    """Runs the reconciler during terms. Entries wait at brokers that are not covered (CTL-9).

    covered: called after each comparison; what had to wait may be decided now. safety: told of
    each, since it may explain what the store has lost.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        state: NodeState,
        every_s: float,
        covered: Callable[[], None],
        safety: Explains | None = None,
    ) -> None:
        self._reconciler = reconciler
        self._state = state
        self._every_s = every_s
        self._covered = covered
        self._safety = safety
        self._asked: Inbox[_Asked] = Inbox()
        self._terms = 0

    async def ask(self, wish: ReconcileWish) -> bool:
        """Reconcile now; whether it was done when this returns."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.add([(wish, done)])
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                await done
        except TimeoutError:
            return False
        return True

    def soon(self) -> None:
        """Reconcile as soon as this instance leads and is free to."""
        self._asked.wake()

    async def run(self, epoch: Epoch) -> None:
        """Reconcile until cancelled."""
        trigger = "takeover" if self._terms else "start"
        self._terms += 1
        retry_s = RETRY_S
        while True:
            await self._once(epoch, trigger)
            if self._state.not_covered or self._state.loss is not None:
                pause_s, retry_s = retry_s, min(2 * retry_s, self._longest_s)
            else:
                pause_s, retry_s = self._every_s, RETRY_S
            asked = await self._asked.wait(pause_s)
            trigger = "request" if asked else "regular"

    @property
    def _longest_s(self) -> float:
        return RETRY_MAX_S if self._state.loss is None else RETRY_SAFE_MAX_S

    async def _once(self, epoch: Epoch, trigger: str) -> None:
        asked = self._asked.take(len(self._asked))
        wishes = [wish for wish, _ in asked]
        try:
            if self._safety is not None:
                await self._safety.before(epoch)
            for wish in wishes[:-1]:
                await self._reconciler.run_once(epoch, trigger, wish)
            result = await self._reconciler.run_once(epoch, trigger, *wishes[-1:])
            if self._safety is not None:
                await self._safety.after(epoch, result)
        except StoreUnavailable as error:
            log.warning("reconciling.store_unavailable", error=str(error))
            return
        finally:
            for _, done in asked:
                if not done.done():
                    done.set_result(None)
        # A broker that was covered once stays so while it is silent: its orders have their own
        # deadlines. What no intent explains stops new exposure at any time.
        never = self._state.not_covered & set(result.unreachable)
        self._state.not_covered = never | {finding.broker for finding in result.blocking}
        self._covered()
        log.info("reconciling.done", epoch=epoch, trigger=trigger, clean=result.clean)
