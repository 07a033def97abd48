"""What brokers said → intents, fills, positions, one transaction a group. Never fenced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.orders.settlement import Told
from onefill.flow.backoff import Backoff
from onefill.ports.clock import Clock
from onefill.ports.trading import Settle, Settled, TradingStore

WORDS_A_GROUP = 512

log = structlog.get_logger()


class Settler:
    """Runs for as long as the process: what a broker said is stored whoever leads (ORD-4)."""

    def __init__(
        self,
        *,
        store: TradingStore,
        settle: Settle,
        hand_on: Callable[[Settled], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._settle = settle
        self._hand_on = hand_on
        self._clock = clock
        self._words: list[Told] = []
        self._filled = asyncio.Event()
        self._told = self._stored = 0
        self._progress = asyncio.Event()

    def tell(self, word: Told) -> None:
        """Take in one word; it is stored with all others that wait."""
        self._words.append(word)
        self._told += 1
        self._filled.set()

    async def drained(self) -> None:
        """Return when everything told so far is stored; what comes meanwhile is not waited for."""
        goal = self._told
        while self._stored < goal:
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Store words until cancelled; a store that is away is waited for."""
        backoff = Backoff(self._clock)
        while True:
            await self._filled.wait()
            group = self._words[:WORDS_A_GROUP]
            try:
                await self._store_group(group)
                backoff.reset()
            except StoreUnavailable as error:
                # Booking is by cumulative quantity: writing the same words again adds nothing.
                log.warning("settler.store_unavailable", waiting=len(self._words), error=str(error))
                await backoff.wait()

    async def _store_group(self, group: Sequence[Told]) -> None:
        settled = await self._store.settle(group, self._settle)
        del self._words[: len(group)]
        self._stored += len(group)
        self._progress.set()
        if not self._words:
            self._filled.clear()
        for alarm in settled.alarms:
            log.critical("settler.alarm", alarm=alarm)
        self._hand_on(settled)
