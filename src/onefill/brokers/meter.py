"""What an account may still ask of its broker; every request passes here. Source: ORD-11.

Orders are counted where they are claimed, before they come here. Questions draw on weight that is
granted to this instance in small parts, so that all instances together keep to the broker's rates
and what a dead one had not used is soon granted again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from onefill.core.errors import BrokerUnavailable, StoreUnavailable
from onefill.core.orders.rates import RateWindow, Urgency
from onefill.ports.clock import Clock
from onefill.ports.rates import RateStore, present_urgency

_PATIENCE_MS = 10_000
"""How long a question waits for its turn; what can wait asks again later by itself."""
_AGAIN_S = 0.05
_PARTS = 20
"""A grant is used within this part of its window, or not at all."""
_WAIT_S = {429: 10, 418: 120}
"""How long to wait where a broker says only that it is too much."""
_WAIT_S_MAX = 259_200
"""Three days, Binance's longest ban: what says more makes no sense, and ends here."""
_UNITS_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}

log = structlog.get_logger()


class RateRow(msgspec.Struct, frozen=True, rename="camel"):
    """A rate as Binance's exchangeInfo lists it."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a broker allows an account: orders, and the weight of questions."""

    orders: tuple[RateWindow, ...] = ()
    questions: tuple[RateWindow, ...] = ()


def rates_of(rows: Iterable[RateRow]) -> Rates:
    """The rates that a broker lists, as far as they are known here."""
    windows: dict[str, list[RateWindow]] = {}
    for row in rows:
        if row.interval in _UNITS_MS and row.interval_num > 0 and row.limit > 0:
            window_ms = _UNITS_MS[row.interval] * row.interval_num
            kind = windows.setdefault(row.rate_limit_type, [])
            kind.append(RateWindow(most=row.limit, window_ms=window_ms))
    return Rates(
        orders=tuple(windows.get("ORDERS", ())),
        questions=tuple(windows.get("REQUEST_WEIGHT", ())),
    )


class Meter:
    """One account's requests from this instance. Without rates, and without a store, all pass.

    weights: of a path, where it is not 1.
    """

    def __init__(
        self,
        account: str,
        clock: Clock,
        store: RateStore | None = None,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        self.rates = Rates()
        self._account = account
        self._clock = clock
        self._store = store
        self._weights = weights or {}
        self._granted = 0
        self._use_by_ms = float("-inf")
        self._held_until_ms = float("-inf")
        self._refused: dict[Urgency, float] = {}
        self._turn = asyncio.Lock()

    @property
    def is_held(self) -> bool:
        """Whether the broker told this account to wait, and it is not over."""
        return self._clock.boottime_ms() < self._held_until_ms

    async def admit(self, path: str) -> None:
        """Return once the question may be asked. Raises BrokerUnavailable if that takes too long;
        what can wait for later never waits here."""
        weight, urgency = self._weights.get(path, 1), present_urgency()
        patience_ms = 0 if urgency is Urgency.LATER else _PATIENCE_MS
        until_ms = self._clock.boottime_ms() + patience_ms
        while not await self._draw(weight, urgency):
            if max(self._clock.boottime_ms(), self._held_until_ms) >= until_ms:
                raise BrokerUnavailable(
                    "the broker's rate limit leaves no room for this question now",
                    remedy="Nothing to do: it is asked again. If it stays so, poll less or ask "
                    "the broker for more.",
                    account=self._account,
                )
            await self._clock.sleep(_AGAIN_S)

    async def heed(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer: one that says `too much` makes all instances wait."""
        if status not in _WAIT_S:
            return
        said = headers.get("Retry-After", "")
        wait_s = _seconds(said) if said.isdecimal() else _WAIT_S[status]
        until_ms = self._clock.boottime_ms() + wait_s * 1_000
        if until_ms <= self._held_until_ms + 1_000:
            return
        self._held_until_ms = until_ms
        log.warning("broker.told_to_wait", account=self._account, status=status, wait_s=wait_s)
        if self._store is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._store.hold(self._account, wait_s * 1_000, f"HTTP {status}")

    async def _draw(self, weight: int, urgency: Urgency) -> bool:
        """Take weight from what is granted, or have more granted."""
        if self.is_held:
            return False
        if self._store is None or not self.rates.questions:
            return True
        if self._take(weight):
            return True
        async with self._turn:
            return self._take(weight) or await self._ask(self._store, weight, urgency)

    def _take(self, weight: int) -> bool:
        is_good = self._clock.boottime_ms() < self._use_by_ms and self._granted >= weight
        if is_good:
            self._granted -= weight
        return is_good

    async def _ask(self, store: RateStore, weight: int, urgency: Urgency) -> bool:
        asked_ms = self._clock.boottime_ms()
        if any(asked_ms < until for u, until in self._refused.items() if u >= urgency):
            return False
        windows = self.rates.questions
        try:
            granted = await store.grant(self._account, windows, weight, urgency)
        except StoreUnavailable as error:
            raise BrokerUnavailable(
                "nothing is asked without the database, where the rate limits are counted",
                remedy=error.remedy,
                account=self._account,
            ) from error
        if not granted:
            self._refused[urgency] = asked_ms + _AGAIN_S * 1_000
            return False
        self._granted = granted - weight
        self._use_by_ms = asked_ms + min(w.window_ms for w in windows) // _PARTS
        return True


def _seconds(said: str) -> int:
    """What a header says, within bounds; an endless number must not cost the answer it is in."""
    return min(int(said[:20]), _WAIT_S_MAX)
