"""Quarantined orders → shouted again and again, louder, until a person says that they know."""

from __future__ import annotations

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId
from onefill.ports.clock import Clock
from onefill.ports.doubts import DoubtStore, Waiting

LOOK_EVERY_S = 1.0
ORDERS_A_LOOK = 256
_REMEDY = "Look for it at the broker, then `onefill resolve`; `--acknowledge` silences this."

log = structlog.get_logger()


class Escalation:
    """Repeats each alarm while its instance leads: at once, then every so often (ORD-7)."""

    def __init__(self, *, store: DoubtStore, clock: Clock, every_s: float) -> None:
        self._store = store
        self._clock = clock
        self._every_ms = every_s * 1000
        self._said: dict[ClientOrderId, tuple[int, float]] = {}

    async def run(self) -> None:
        """Shout until cancelled."""
        while True:
            try:
                self._shout(tuple(await self._store.unacknowledged(ORDERS_A_LOOK)))
            except StoreUnavailable as error:
                log.warning("escalation.store_unavailable", error=str(error))
            await self._clock.sleep(LOOK_EVERY_S)

    def _shout(self, waiting: tuple[Waiting, ...]) -> None:
        known = {order.client_order_id for order in waiting}
        self._said = {name: said for name, said in self._said.items() if name in known}
        now_ms = self._clock.boottime_ms()
        for order in waiting:
            level, said_ms = self._said.get(order.client_order_id, (0, float("-inf")))
            if now_ms - said_ms < self._every_ms:
                continue
            self._said[order.client_order_id] = (level + 1, now_ms)
            log.critical(
                "escalation.quarantined",
                level=level + 1,
                intent=order.client_order_id,
                lane=order.lane,
                minutes=int((order.now - order.since).total_seconds() // 60),
                reason=order.reason,
                remedy=_REMEDY,
            )
