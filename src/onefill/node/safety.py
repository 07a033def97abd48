"""SAFE: what an instance shows and does while the store is known to have lost commits. CTL-8."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from onefill.core.control.states import ControlEvent
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.core.orders.reconcile import Difference
from onefill.flow.reconciler import Reconciled
from onefill.node.state import NodeState
from onefill.ports.authority import Losses, LossRow
from onefill.ports.metrics import Metrics
from onefill.ports.witness import Witnessed

REMEDY = (
    "Nothing is sent until the brokers' books explain every difference; see `onefill reconcile`. "
    "If you have looked at them, or put in another database on purpose: `onefill end-safe --yes`."
)

log = structlog.get_logger()


class Safety:
    """Follows the store's word on it, and ends it when everything is explained.

    resumed: called when it is over.
    """

    def __init__(
        self,
        *,
        losses: Losses,
        state: NodeState,
        metrics: Metrics,
        resumed: Callable[[], None] = lambda: None,
    ) -> None:
        self._losses = losses
        self._state = state
        self._metrics = metrics
        self._resumed = resumed
        self._entering: set[asyncio.Task[None]] = set()
        self._was_quiet = False
        metrics.safe.set(0)

    def connect(self, resumed: Callable[[], None]) -> None:
        """resumed: to be called when SAFE is over."""
        self._resumed = resumed

    async def look(self) -> None:
        """Look at the store. Raises StoreUnavailable."""
        self._show(await self._losses.look())

    def witness_ahead(self, seen: Witnessed) -> None:
        """The witness knows of a later epoch than the store: it lost commits (CTL-7)."""
        task = asyncio.create_task(self._enter(seen.epoch), name="entering SAFE")
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    # While leading: is everything explained? ---------------------------------------------------

    async def before(self, epoch: Epoch) -> None:
        """To be called before each comparison with the brokers. Raises StoreUnavailable, Fenced."""
        self._was_quiet = self._state.loss is not None and await self._losses.is_quiet(epoch)

    async def after(self, epoch: Epoch, result: Reconciled) -> None:
        """To be called after it: may end SAFE. Raises StoreUnavailable, Fenced."""
        if not self._was_quiet or self._state.loss is None:
            return
        left = [one for one in result.findings if not one.applied]
        left = [one for one in left if one.kind is not Difference.STRANGER]
        if left or result.unreachable:
            log.error(
                "safe.not_explained",
                differences=[f"{one.kind.value} {one.symbol} {one.detail}".strip() for one in left],
                unreachable=result.unreachable,
                remedy=REMEDY,
            )
        elif await self._losses.end(epoch):
            self._show(await self._losses.look())

    # The state ---------------------------------------------------------------------------------

    def _show(self, loss: LossRow | None) -> None:
        before, self._state.loss = self._state.loss, loss
        self._metrics.safe.set(int(loss is not None))
        if loss is not None and before is None:
            self._state.move(ControlEvent.HISTORY_LOST)
            self._metrics.authority_losses.add(loss.kind)
            log.critical(
                "SAFE - The database lost commits; nothing new is sent",
                kind=loss.kind,
                found=loss.found,
                noticed_at=loss.noticed_at,
                noticed_by=loss.noticed_by,
                remedy=REMEDY,
            )
        elif loss is None and before is not None:
            self._state.move(ControlEvent.EXPLAINED)
            log.error("SAFE ENDED - Now processing signals again")
            self._resumed()

    async def _enter(self, above: Epoch) -> None:
        try:
            await self._losses.witness_ahead(above)
            await self.look()
        except StoreUnavailable as error:
            log.warning("safety.store_unavailable", error=str(error))
