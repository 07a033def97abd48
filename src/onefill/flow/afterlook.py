"""Quarantined and ruled-out orders → looked up again, slowly: late evidence still wins (ORD-4)."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.intent import OrderIntent
from onefill.core.orders.report import Found, Placed
from onefill.core.orders.settlement import Told
from onefill.flow.looking import look_up_surely
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.doubts import DoubtStore

ORDERS_A_ROUND = 256

log = structlog.get_logger()


class Afterlook:
    """Asks the brokers while its instance leads. It never sends, and never calls one absent."""

    def __init__(
        self,
        *,
        store: DoubtStore,
        broker_of: Callable[[OrderIntent], Broker | None],
        tell: Callable[[Told], None],
        clock: Clock,
        every_s: float,
    ) -> None:
        self._store = store
        self._broker_of = broker_of
        self._tell = tell
        self._clock = clock
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                intents = await self._store.lingering(ORDERS_A_ROUND)
                for intent in intents:
                    await self._look(intent)
            except StoreUnavailable as error:
                log.warning("afterlook.store_unavailable", error=str(error))
            await self._clock.sleep(self._every_s)

    async def _look(self, intent: OrderIntent) -> None:
        broker = self._broker_of(intent)
        if broker is None:
            return
        answer = await look_up_surely(broker, self._store, intent)
        if isinstance(answer, Found):
            log.error("afterlook.found", intent=intent.client_order_id, state=intent.state.value)
            word = Placed(report=answer.report)
            self._tell(
                Told(client_order_id=intent.client_order_id, attempt=intent.attempt, word=word)
            )
