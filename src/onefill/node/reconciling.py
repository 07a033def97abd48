"""When to reconcile: at the start of a term, every so often, and when a person asks (ORD-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.flow.reconciler import Reconciler
from onefill.node.state import NodeState
from onefill.ports.hints import Inbox

RETRY_S, RETRY_MAX_S = 1.0, 30.0
ASK_WITHIN_S = 30.0

log = structlog.get_logger()

_Asked = tuple[bool, "asyncio.Future[None]"]


class Reconciling:
    """Runs the reconciler during terms. Entries wait at brokers that are not covered (CTL-9).

    covered: called after each comparison; what had to wait may be decided now.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        state: NodeState,
        every_s: float,
        covered: Callable[[], None],
    ) -> None:
        self._reconciler = reconciler
        self._state = state
        self._every_s = every_s
        self._covered = covered
        self._asked: Inbox[_Asked] = Inbox()
        self._terms = 0

    async def ask(self, *, apply: bool) -> bool:
        """Reconcile now; whether it was done when this returns."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.add([(apply, done)])
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
            if self._state.not_covered:
                pause_s, retry_s = retry_s, min(2 * retry_s, RETRY_MAX_S)
            else:
                pause_s, retry_s = self._every_s, RETRY_S
            asked = await self._asked.wait(pause_s)
            trigger = "request" if asked else "regular"

    async def _once(self, epoch: Epoch, trigger: str) -> None:
        asked = self._asked.take(len(self._asked))
        apply = any(wants for wants, _ in asked)
        try:
            result = await self._reconciler.run_once(epoch, trigger, apply=apply)
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
