"""Holds the lease while it can: asks core what to do, does it, and tells the node."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from onefill.core.control.lease import (
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
from onefill.core.control.succession import Heir, Vacancy, wait_ms
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.lease import LEADER, Holder, Lease, LeaseStore
from onefill.ports.patience import answered
from onefill.ports.peers import Peer
from onefill.ports.vigil import Vigil

log = structlog.get_logger()

T = TypeVar("T")


class Watcher(Protocol):
    """What the node wants to know of the lease; each is called at once, in order."""

    def started(self, epoch: Epoch, reason: str, suspected_ms: float | None) -> None:
        """The lease is ours from now on. reason: `election`, `takeover` or `failover`.

        suspected_ms: since when the holder before was believed to be gone, on the boot clock.
        """
        ...

    def stopped(self, epoch: Epoch, reason: str) -> None:
        """It is not any more: `fenced`, or `deadline`."""
        ...

    def synced(self, latency_ms: float, *, is_good: bool) -> None:
        """The store was asked."""
        ...

    def renewed(self, epoch: Epoch) -> None:
        """The lease was prolonged: it is checked now that nobody else believes to hold it."""
        ...


class Elector:
    """One loop, one state. heir: how this instance may lead; see core.control.succession."""

    def __init__(
        self,
        *,
        store: LeaseStore,
        me: Holder,
        heir: Heir,
        timing: LeaseTiming,
        clock: Clock,
        vigil: Vigil,
        others: Callable[[], Awaitable[Sequence[Peer]]],
        watcher: Watcher,
    ) -> None:
        self.heir = heir
        self._store = store
        self._me = me
        self._timing = self._timing_next = timing
        self._clock = clock
        self._vigil = vigil
        self._others = others
        self._watcher = watcher
        self._state: State = Following()
        self._poked = asyncio.Event()
        self._lost = self._is_asked_to_look = False
        self._has_led = False
        self._has_complained = False
        self._up_since_ms = clock.boottime_ms()
        self._reason = "election"
        self._suspected_ms: float | None = None
        self._watched: UUID | None = None
        self._watch: asyncio.Task[None] | None = None

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

    def look_now(self) -> None:
        """Something may have changed: look at the lease at once, or after what is being asked."""
        self._is_asked_to_look = True
        self._poked.set()

    def retime(self, timing: LeaseTiming) -> None:
        """Keep these times from the next step on: what is asked now is judged by the old ones."""
        self._timing_next = timing

    async def run(self) -> None:
        """Follow, take, renew, until cancelled."""
        self._up_since_ms = self._clock.boottime_ms()
        try:
            while True:
                await self._wait(wake_at_ms(self._state) - self._clock.boottime_ms())
                self._timing = self._timing_next
                if self._is_asked_to_look and isinstance(self._state, Following):
                    self._state = Following()
                self._is_asked_to_look = False
                event: Event = Lost() if self._lost else Tick()
                self._lost = False
                await self._handle(event)
        finally:
            self._watch_over(None)

    async def hand_over(self, to: Holder, reason: str) -> Epoch | None:
        """Give the lease to another, in one step; the caller has drained all effects before.

        None when it did not succeed: whoever holds it then is found by looking, be it ourselves.
        """
        if not isinstance(self._state, Leading):
            return None
        epoch, ttl_ms = self._state.epoch, self._timing.ttl_ms
        self._state = Following(self._clock.boottime_ms() + ttl_ms)
        try:
            handing = self._store.transfer(
                LEADER, epoch, self._me, to, ttl_ms=ttl_ms, reason=reason
            )
            return await self._timed(handing, patience=4)
        except StoreUnavailable as error:
            log.warning("elector.not_handed_over", epoch=epoch, error=str(error))
            return None
        finally:
            self.look_now()

    async def release(self, reason: str) -> None:
        """Step down into nothing; the caller has stopped and drained all effects before."""
        if isinstance(self._state, Leading):
            epoch = self._state.epoch
            self._state = Following()
            try:
                await self._timed(self._store.release(LEADER, epoch, self._me, reason))
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
                self._has_led = True
                self.heir = replace(self.heir, has_released=False)
                self._watch_over(None)
                self._watcher.started(epoch, self._reason, self._suspected_ms)
                self._suspected_ms = None
                return None
            case StopLeading(epoch, reason):
                self._watcher.stopped(epoch, reason)
                return None
            case _:
                return await self._ask(action)

    async def _ask(self, action: Action) -> Event:
        asked_at_ms = self._clock.boottime_ms()
        try:
            match action:
                case Look():
                    answer = await self._look(asked_at_ms)
                case Take(expected):
                    taking = self._store.acquire(LEADER, expected, self._me, self._timing.ttl_ms)
                    epoch = await self._timed(taking, patience=4)
                    if epoch is not None:
                        reach(Failpoint.LEASE_TAKEN)
                    answer = Refused() if epoch is None else Granted(epoch, asked_at_ms)
                case Renew(epoch):
                    answer = Renewed(asked_at_ms) if await self._renew(epoch) else Lost()
                case _:
                    answer = Failed()
        except StoreUnavailable as error:
            log.warning("elector.store_unavailable", asked=type(action).__name__, error=str(error))
            answer = Failed()
        took_ms = self._clock.boottime_ms() - asked_at_ms
        self._watcher.synced(took_ms, is_good=not isinstance(answer, Failed))
        if isinstance(answer, Renewed) and isinstance(self._state, Leading):
            self._watcher.renewed(self._state.epoch)
        return answer

    async def _renew(self, epoch: Epoch) -> bool:
        renewing = self._store.renew(LEADER, epoch, self._me, self._timing.ttl_ms)
        return await self._timed(renewing)

    async def _timed(self, call: Awaitable[T], patience: int = 1) -> T:
        """The answer within the call's time-out (a takeover may wait for old fences: patience)."""
        return await answered(call, self._timing.call_timeout_ms * patience / 1000)

    async def _look(self, asked_at_ms: float) -> Event:
        lease = await self._timed(self._store.read(LEADER))
        if lease is not None and lease.holder == self._me and not lease.barred:
            # Handed to us, or taken by a call whose answer we missed: ours once it is renewed.
            self._reason = "takeover"
            mine = await self._renew(lease.epoch)
            return Granted(lease.epoch, asked_at_ms) if mine else Failed()
        if lease is None:
            waiting = await self._wait_ms(None)
            return Seen(Epoch(0), waiting <= 0, waiting)
        # Ours but barred: a taker died over it, and no write of its epoch is let in any more. So
        # we let it run out, and take it anew.
        self._watch_over(lease.holder if lease.holder != self._me else None)
        waiting = lease.remaining_ms
        if lease.is_vacant or self._is_mine(lease):
            waiting = await self._wait_ms(lease)
            self._reason = "election" if lease.holder is None else "failover"
            self._suspected_ms = self._suspected_ms or asked_at_ms
        else:
            self._suspected_ms = None
        return Seen(lease.epoch, waiting <= 0, min(waiting, self._timing.ttl_ms))

    async def _wait_ms(self, lease: Lease | None) -> float:
        """How long this instance has to leave a lease alone that can be had."""
        has_died = lease is not None and lease.holder is not None
        others, able = None, 0
        if (self.heir.has_released and has_died) or not self.heir.may_send:
            dead = lease.holder if lease is not None else None
            alive = [one for one in await self._timed(self._others()) if one.holder != dead]
            others, able = len(alive), sum(one.heir.may_send for one in alive)
        vacancy = Vacancy(
            has_died=has_died,
            was_mine=lease is not None and self._is_mine(lease),
            others=others,
            able=able,
            up_for_ms=self._clock.boottime_ms() - self._up_since_ms,
        )
        waiting = wait_ms(self.heir, vacancy)
        return self._timing.renew_every_ms if waiting == math.inf else waiting

    def _is_mine(self, lease: Lease) -> bool:
        """Whether its holder is an earlier boot of this instance.

        Once this boot has led, another one of its name is no earlier one: two processes were
        started under one name, and would take the lease from each other for ever.
        """
        is_namesake = lease.holder is not None and lease.holder.instance == self._me.instance
        if is_namesake and self._has_led and not self._has_complained:
            self._has_complained = True
            log.critical(
                "elector.namesake",
                instance=self._me.instance,
                remedy="Another process runs under this instance's name: stop one, or rename it.",
            )
        return is_namesake and not self._has_led

    def _watch_over(self, holder: Holder | None) -> None:
        """Wait for the end of that holder's process, and of no other's."""
        boot = holder.boot if holder is not None else None
        if boot == self._watched:
            return
        if self._watch is not None:
            self._watch.cancel()
        self._watched, self._watch = boot, None
        if boot is not None:
            self._watch = asyncio.create_task(self._until_ended(boot), name="watch of the leader")

    async def _until_ended(self, boot: UUID) -> None:
        try:
            await self._vigil.ended(boot)
        except StoreUnavailable:
            self._watched = None  # and the next look begins anew
        else:
            self._suspected_ms = self._clock.boottime_ms()
            self.look_now()
