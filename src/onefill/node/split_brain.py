"""After each renewal: does the witness of epochs agree that it is ours? Source: CTL-7."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from onefill.core.ids import Epoch
from onefill.ports.lease import LEADER
from onefill.ports.metrics import Metrics
from onefill.ports.witness import Witness, Witnessed

log = structlog.get_logger()


class SplitBrainCheck:
    """Tells the witness of our epoch, and hears of a higher one: then the database lost commits.

    ahead: called once for each such epoch. The witness never delays a renewal.
    """

    def __init__(
        self, *, witness: Witness, me: str, metrics: Metrics, ahead: Callable[[Witnessed], None]
    ) -> None:
        self._witness = witness
        self._me = me
        self._metrics = metrics
        self._ahead = ahead
        self._asking: asyncio.Task[None] | None = None
        self._told: Epoch | None = None

    def renewed(self, epoch: Epoch) -> None:
        """Our lease was prolonged under this epoch."""
        if self._witness.connected is None or (self._asking and not self._asking.done()):
            return
        self._asking = asyncio.create_task(self._ask(epoch), name="split-brain check")

    async def _ask(self, epoch: Epoch) -> None:
        seen = await self._witness.write(LEADER, epoch, self._me)
        if seen is None or seen.epoch <= epoch or seen.epoch == self._told:
            return
        self._told = seen.epoch
        self._metrics.split_brain.add()
        log.error(
            "SPLIT BRAIN - the witness has seen a higher epoch than the database",
            db_epoch=epoch,
            db_leader=self._me,
            redis_epoch=seen.epoch,
            redis_leader=seen.holder,
            remedy="Was the database restored from a backup? Compare with the brokers, then take "
            "control by hand.",
        )
        self._ahead(seen)
