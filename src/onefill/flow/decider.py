"""Lanes with work → decisions, one transaction a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch, Lane
from onefill.core.intent import OrderIntent
from onefill.core.signal import SignalStatus
from onefill.flow.backoff import Backoff
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.trading import ContinueExits, Decide, Decided, TradingStore

SWEEP_EVERY_MS = 1000
LANES_A_GROUP = 256
LANES_A_SWEEP = 1024

log = structlog.get_logger()


class Decider:
    """Decides while its instance leads. Hints only make it quick: its sweep finds all work."""

    def __init__(
        self,
        *,
        store: TradingStore,
        lanes: Inbox[Lane],
        decide: Decide,
        exits: ContinueExits,
        offer: Callable[[Sequence[OrderIntent]], None],
        ended: Topic[tuple[int, SignalStatus, str | None]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._decide = decide
        self._exits = exits
        self._offer = offer
        self._ended = ended
        self._clock = clock
        self._swept_ms = float("-inf")

    async def run(self, epoch: Epoch | None) -> None:
        """Decide until cancelled; without an epoch, unfenced (active-active).

        Raises Fenced when the epoch is over.
        """
        backoff = Backoff(self._clock)
        while True:
            try:
                await self._sweep_if_due()
                if await self._lanes.wait(SWEEP_EVERY_MS / 1000):
                    await self._decide_group(epoch, self._lanes.take(LANES_A_GROUP))
                backoff.reset()
            except StoreUnavailable as error:
                log.warning("decider.store_unavailable", error=str(error))
                await backoff.wait()

    def sweep_now(self) -> None:
        """Look for work in the store at once: what had to wait may be decided now."""
        self._swept_ms = float("-inf")
        self._lanes.wake()

    async def _sweep_if_due(self) -> None:
        now_ms = self._clock.boottime_ms()
        if now_ms - self._swept_ms >= SWEEP_EVERY_MS:
            self._lanes.add(await self._store.lanes_with_work(LANES_A_SWEEP))
            self._swept_ms = now_ms

    async def _decide_group(self, epoch: Epoch | None, lanes: Sequence[Lane]) -> None:
        try:
            decided = await self._store.decide(epoch, lanes, self._decide, self._exits)
        except StoreUnavailable:
            self._lanes.add(lanes)
            raise
        self._hand_on(decided)

    def _hand_on(self, decided: Decided) -> None:
        self._lanes.add(decided.again)
        self._offer(decided.intents)
        for signal in decided.ended:
            self._ended.publish(signal)
        for alarm in decided.alarms:
            log.warning("decider.alarm", alarm=alarm)
