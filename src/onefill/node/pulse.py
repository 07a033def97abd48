"""The instance's own pulse: is the database there, does the loop keep up, does it tell so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import Clock
from onefill.ports.metrics import Metrics

BEAT_EVERY_S = 5.0
LOOK_EVERY_S = 0.25

log = structlog.get_logger()


class Pulse:
    """Looks at the database four times a second, and writes a heartbeat every five seconds.

    shown: what a heartbeat says besides the time; when it changes, the next look writes one.
    """

    def __init__(
        self,
        *,
        state: NodeState,
        metrics: Metrics,
        clock: Clock,
        look: Callable[[], Awaitable[object]],
        beat: Callable[[], Awaitable[None]],
        measure: Callable[[], Awaitable[None]],
        sync: SyncHealth,
        shown: Callable[[], object],
    ) -> None:
        self._sync = sync
        self._shown = shown
        self._state = state
        self._metrics = metrics
        self._clock = clock
        self._look = look
        self._beat = beat
        self._measure = measure

    async def run(self) -> None:
        """Look and beat until cancelled."""
        beaten_ms, seen = float("-inf"), object()
        self._sync.heartbeat_running = True
        while True:
            await self._look_once()
            now_ms = self._clock.boottime_ms()
            if now_ms - beaten_ms >= BEAT_EVERY_S * 1000 or seen != self._shown():
                seen, beaten_ms = self._shown(), now_ms
                await self._beat_once()
            asleep_ms = self._clock.boottime_ms()
            await self._clock.sleep(LOOK_EVERY_S)
            late_s = (self._clock.boottime_ms() - asleep_ms) / 1000 - LOOK_EVERY_S
            self._metrics.loop_lag_seconds.set(max(0.0, late_s))

    async def _look_once(self) -> None:
        try:
            await self._look()
            is_up = True
        except StoreUnavailable:
            is_up = False
        if is_up != self._state.database_up:
            log.warning("pulse.database", up=is_up)
        self._state.database_up = is_up
        self._metrics.database_up.set(int(is_up))

    async def _beat_once(self) -> None:
        started_ms = self._clock.boottime_ms()
        is_good = False
        try:
            await self._beat()
            is_good = True
            self._sync.last_heartbeat = self._clock.wall()
            await self._measure()
            log.debug("pulse.beat")
        except StoreUnavailable as error:
            log.warning("pulse.no_beat", error=str(error))
        self._sync.note(self._clock.boottime_ms() - started_ms, is_good=is_good)
