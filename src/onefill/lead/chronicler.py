"""Keeps the history of leadership whole: who made an epoch may have died before it was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from onefill.core.errors import OnefillError
from onefill.lead.elector import Elector
from onefill.ports.clock import Clock

LOOK_EVERY_S = 3.0

log = structlog.get_logger()


class Chronicler:
    """Looks while its instance leads. mend: adds what is missing, and says how much that was."""

    def __init__(
        self, *, elector: Elector, mend: Callable[[], Awaitable[int]], clock: Clock
    ) -> None:
        self._elector = elector
        self._mend = mend
        self._clock = clock

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            if self._elector.epoch is not None:
                await self._once()

    async def _once(self) -> None:
        try:
            mended = await self._mend()
        except OnefillError as error:
            # Whatever it is: the history never holds up who trades (CTL-18).
            log.warning("chronicler.not_mended", error=str(error))
            return
        if mended:
            log.info("chronicler.mended", reigns=mended)
