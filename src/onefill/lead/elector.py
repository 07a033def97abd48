"""Holds the lease while it can: asks core what to do, does it, and tells the node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.core.lease import (
    Action,
    Event,
    Failed,
    Following,
    Granted,
    Leading,
    LeaseTiming,
    Look,
    Lost,
    Refused,
    Renew,
    Renewed,
    Seen,
    StartLeading,
    State,
    StopLeading,
    Take,
    Tick,
    step,
    wake_at_ms,
)
from onefill.ports.clock import Clock
from onefill.ports.lease import LEADER, Holder, Lease, LeaseStore

log = structlog.get_logger()

T = TypeVar("T")


class Elector:
    """One loop, one state; `on_start` and `on_stop` are told of each change, in order."""

    def __init__(
        self,
        *,
        store: LeaseStore,
        me: Holder,
        timing: LeaseTiming,
        clock: Clock,
        on_start: Callable[[Epoch], None],
        on_stop: Callable[[Epoch, str], None],
    ) -> None:
        self._store = store
        self._me = me
        self._timing = timing
        self._clock = clock
        self._on_start = on_start
        self._on_stop = on_stop
        self._state: State = Following()
        self._poked = asyncio.Event()
        self._lost = False

    @property
    def epoch(self) -> Epoch | None:
        """The epoch that this instance holds, by its own deadline; None when it follows."""
        if isinstance(self._state, Leading) and self._clock.boottime_ms() < self._state.until_ms:
            return self._state.epoch
        return None

    def fenced(self) -> None:
        """A guarded write was refused: the epoch is over, whatever the deadline says."""
        self._lost = True
        self._poked.set()

    async def run(self) -> None:
        """Follow, take, renew, until cancelled."""
        while True:
            await self._wait(wake_at_ms(self._state) - self._clock.boottime_ms())
            event: Event = Lost() if self._lost else Tick()
            self._lost = False
            await self._handle(event)

    async def release(self) -> None:
        """Step down for good; the caller has stopped and drained all effects before."""
        if isinstance(self._state, Leading):
            epoch = self._state.epoch
            self._state = Following()
            try:
                await self._timed(self._store.release(LEADER, epoch, self._me))
            except StoreUnavailable as error:
                log.warning("elector.not_released", epoch=epoch, error=str(error))

    async def _wait(self, milliseconds: float) -> None:
        if milliseconds <= 0 or self._poked.is_set():
            self._poked.clear()
            return
        try:
            async with asyncio.timeout(milliseconds / 1000):
                await self._poked.wait()
            self._poked.clear()
        except TimeoutError:
            return

    async def _handle(self, event: Event) -> None:
        """Step until no action asks the store anything more."""
        pending = [event]
        while pending:
            now_ms = self._clock.boottime_ms()
            self._state, actions = step(self._state, pending.pop(0), now_ms, self._timing)
            for action in actions:
                answer = await self._do(action)
                if answer is not None:
                    pending.append(answer)

    async def _do(self, action: Action) -> Event | None:
        match action:
            case StartLeading(epoch):
                self._on_start(epoch)
                return None
            case StopLeading(epoch, reason):
                self._on_stop(epoch, reason)
                return None
            case _:
                return await self._ask(action)

    async def _ask(self, action: Action) -> Event:
        asked_at_ms = self._clock.boottime_ms()
        try:
            match action:
                case Look():
                    return self._seen(await self._timed(self._store.read(LEADER)))
                case Take(expected):
                    ttl = self._timing.ttl_ms
                    taking = self._store.acquire(LEADER, expected, self._me, ttl)
                    epoch = await self._timed(taking, patience=4)
                    return Refused() if epoch is None else Granted(epoch, asked_at_ms)
                case Renew(epoch):
                    ttl = self._timing.ttl_ms
                    renewing = self._store.renew(LEADER, epoch, self._me, ttl)
                    return Renewed(asked_at_ms) if await self._timed(renewing) else Lost()
                case _:
                    return Failed()
        except StoreUnavailable as error:
            log.warning("elector.store_unavailable", asked=type(action).__name__, error=str(error))
            return Failed()

    async def _timed(self, call: Awaitable[T], patience: int = 1) -> T:
        """The answer within the call's time-out (a takeover may wait for old fences: patience)."""
        try:
            async with asyncio.timeout(self._timing.call_timeout_ms * patience / 1000):
                return await call
        except TimeoutError as error:
            raise StoreUnavailable("the lease store did not answer in time") from error

    def _seen(self, lease: Lease | None) -> Seen:
        if lease is None:
            return Seen(Epoch(0), True, 0)
        mine_before = lease.holder is not None and lease.holder.instance == self._me.instance
        obtainable = lease.holder is None or lease.remaining_ms <= 0 or mine_before
        return Seen(lease.epoch, obtainable, lease.remaining_ms)
