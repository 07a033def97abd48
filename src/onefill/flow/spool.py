"""Signals that the log could not take → a local spool, and from there into the log. SIG-16."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from onefill.core.intake.parse import Invalid, parse
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import Signal
from onefill.flow.backoff import Backoff
from onefill.ports.clock import Clock
from onefill.ports.intake import IntakeUnavailable, SignalUnloggable
from onefill.ports.metrics import Metrics
from onefill.ports.spool import Kept, Spool, Spooled

KEEP_WITHIN_S = 0.15
LOOK_EVERY_S = 0.25
SIGNALS_A_GROUP = 256

log = structlog.get_logger()

TakeIn = Callable[[Signal, str], Awaitable[object]]
"""flow.intake's own: the same deduplication and the same log as for what comes directly."""


class Spooling:
    """Keeps what was answered with 503, as evidence; and takes it in when the log is back.

    is_up: whether the log answers as far as is known; it only saves vain attempts.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        take_in: TakeIn,
        zones: Zones,
        is_up: Callable[[], bool],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._spool = spool
        self._take_in = take_in
        self._zones = zones
        self._is_up = is_up
        self._metrics = metrics
        self._clock = clock

    @property
    def waiting(self) -> int:
        """How many signals wait in the spool."""
        return self._spool.waiting

    async def keep(self, payload: str) -> None:
        """Write a signal down, or give up after 150 ms: its sender must be answered in time.

        payload: of a valid, authenticated signal, without its secret.
        """
        kept = Kept.FAILED
        try:
            async with asyncio.timeout(KEEP_WITHIN_S):
                spooled = Spooled(received_at=self._clock.wall(), payload=payload)
                kept = await self._spool.keep(spooled)
        except TimeoutError:
            log.warning("spool.slow")
        if kept is Kept.FULL:
            log.error("spool.full", waiting=self.waiting, remedy="Raise spool.bytes_max.")
        self._metrics.spooled.add(kept.value)
        self._show()

    async def run(self) -> None:
        """Empty the spool into the log whenever there is one, until cancelled."""
        backoff = Backoff(self._clock)
        while True:
            self._show()
            if not (self._is_up() and self.waiting):
                await self._clock.sleep(LOOK_EVERY_S)
            elif await self._take_in_oldest():
                backoff.reset()
            else:
                await backoff.wait()

    async def _take_in_oldest(self) -> bool:
        """Whether all of the oldest batch is in the log, or never will be."""
        batch = await self._spool.oldest()
        if batch is None:
            return False
        log.info("spool.taking_in", signals=len(batch.signals))
        for start in range(0, len(batch.signals), SIGNALS_A_GROUP):
            if not await self._take_in_group(batch.signals[start : start + SIGNALS_A_GROUP]):
                return False
        await self._spool.forget(batch)
        return True

    async def _take_in_group(self, group: Sequence[Spooled]) -> bool:
        done = await asyncio.gather(*map(self._take_in_one, group))
        return all(done)

    async def _take_in_one(self, spooled: Spooled) -> bool:
        """Through the same parser, at the time when it came; False: the log is away again."""
        parsed = parse(spooled.payload.encode(), now=spooled.received_at, zones=self._zones)
        if isinstance(parsed, Invalid):
            log.error("spool.invalid", problems=[str(one) for one in parsed.problems])
            return True
        try:
            await self._take_in(parsed.signal, parsed.payload)
        except SignalUnloggable as error:
            log.error("spool.unloggable", error=str(error))
        except IntakeUnavailable:
            return False
        return True

    def _show(self) -> None:
        self._metrics.spool_signals.set(self.waiting)
