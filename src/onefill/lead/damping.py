"""Lengthens the lease while living leaders are taken for dead too often, and shortens it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from onefill.core.damping import WINDOW_S, lease_factor, stretched
from onefill.core.errors import OnefillError
from onefill.core.lease import LeaseTiming
from onefill.lead.elector import Elector
from onefill.ports.clock import Clock

LOOK_EVERY_S = 5.0

log = structlog.get_logger()


class Damping:
    """Runs on every instance, since each may be the next to grant itself a lease.

    wrong_takeovers: how many of the last so many seconds hit a holder that was alive.
    """

    def __init__(
        self,
        *,
        elector: Elector,
        timing: LeaseTiming,
        wrong_takeovers: Callable[[float], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._elector = elector
        self._timing = timing
        self._wrong_takeovers = wrong_takeovers
        self._clock = clock
        self._factor = 1

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            try:
                self._apply(await self._wrong_takeovers(WINDOW_S))
            except OnefillError as error:
                # Whatever it is: the history never holds up who trades (CTL-18).
                log.debug("damping.not_known", error=str(error))
            await self._clock.sleep(LOOK_EVERY_S)

    def _apply(self, wrong_takeovers: int) -> None:
        factor = lease_factor(wrong_takeovers)
        if factor == self._factor:
            return
        self._factor = factor
        timing = stretched(self._timing, factor)
        log.warning("damping.lease", ttl_ms=timing.ttl_ms, wrong_takeovers=wrong_takeovers)
        self._elector.retime(timing)
