"""Intents → claimed → sent once → what the broker said."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from onefill.core.errors import CommitUnknown, OnefillError, StoreUnavailable
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import ACCOMPLISHED, IntentState, OrderIntent
from onefill.core.orders.rates import Urgency
from onefill.core.orders.report import Unknown
from onefill.core.orders.settlement import Told
from onefill.flow.backoff import Backoff
from onefill.ports.broker import Broker, Prepared
from onefill.ports.claims import claim_of
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox
from onefill.ports.rates import RateStore, urgently
from onefill.ports.trading import Claim, TradingStore

SWEEP_EVERY_MS = 1000
INTENTS_A_SWEEP = 1024
MAKERS_OWN_MS = 500
"""Where all execute, an intent is left to the instance that made it for so long."""
WINS_KEPT = 16_384
"""Many times more than are claimed while an intent that was read before is on its way here."""

log = structlog.get_logger()

BrokerOf = Callable[[OrderIntent], Broker | None]
Pricing = Callable[[OrderIntent], Awaitable[OrderIntent]]
"""The order with the price that it is to be sent with."""


async def as_decided(intent: OrderIntent) -> OrderIntent:
    """No price of its own: the order as it is."""
    return intent


class Executor:
    """Claims while its instance leads; what is being claimed goes to its end in any case: its
    commit may have happened already, and a claim that is never sent is in doubt, or a person's.

    in_flight_max: how many requests may be prepared, claimed or sent at the same time, so that
    nothing is claimed that could not reach a socket before its `send_by`.
    """

    def __init__(
        self,
        *,
        store: TradingStore,
        broker_of: BrokerOf,
        tell: Callable[[Told], None],
        clock: Clock,
        priced: Pricing = as_decided,
        rates: RateStore | None = None,
        may_send: Callable[[OrderIntent], bool] = lambda _: True,
        lanes: Inbox[Lane] | None = None,
        in_flight_max: int = 128,
    ) -> None:
        self._priced = priced
        self._store = store
        self._broker_of = broker_of
        self._tell = tell
        self._clock = clock
        self._rates = rates
        self._may_send = may_send
        self._lanes = lanes
        self._free = in_flight_max
        self._offered: dict[ClientOrderId, OrderIntent] = {}
        self._todo: Inbox[ClientOrderId] = Inbox()
        self._held: dict[ClientOrderId, list[OrderIntent]] = {}
        self._ready: dict[ClientOrderId, Prepared] = {}
        self._won: OrderedDict[tuple[ClientOrderId, int], None] = OrderedDict()
        self._claimable: Inbox[ClientOrderId] = Inbox()
        self._preparing: set[asyncio.Task[None]] = set()
        self._claiming: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._slot_freed = asyncio.Event()
        self._slot_freed.set()

    # What others hand in -----------------------------------------------------------------------

    def offer(self, intents: Sequence[OrderIntent]) -> None:
        """Take new intents; those that wait for another one are kept until that one is filled."""
        ready = []
        for intent in intents:
            if intent.after is not None:
                self._held.setdefault(intent.after, []).append(intent)
            else:
                ready.append(intent)
        self._queue(ready)

    def settled(self, intents: Sequence[OrderIntent]) -> None:
        """Take note of changed intents: what waited for a filled one may go now."""
        self._renew([intent for intent in intents if intent.state is IntentState.NEW])
        for intent in intents:
            if intent.state in ACCOMPLISHED:
                self._queue(self._held.pop(intent.client_order_id, ()))
            elif not intent.is_live:
                self._held.pop(intent.client_order_id, None)

    def _renew(self, intents: Sequence[OrderIntent]) -> None:
        """What is held and changed: from now on it waits for another one, or for less."""
        for intent in intents:
            for waiting in self._held.values():
                kept = [w for w in waiting if w.client_order_id != intent.client_order_id]
                if len(kept) < len(waiting) and intent.after is not None:
                    waiting[:] = kept
                    self._held.setdefault(intent.after, []).append(intent)
                    break

    def _queue(self, intents: Sequence[OrderIntent]) -> None:
        for intent in intents:
            self._offered[intent.client_order_id] = intent
        self._todo.add([intent.client_order_id for intent in intents])

    # While leading -----------------------------------------------------------------------------

    async def run(self, epoch: Epoch | None) -> None:
        """Claim and send until cancelled; without an epoch, unfenced (active-active).

        Raises Fenced when the epoch is over.
        """
        self._is_open = True
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._prepare_loop(0 if epoch is not None else MAKERS_OWN_MS))
            loops.create_task(self._claim_loop(epoch))

    async def drained(self) -> None:
        """Return when every request that was claimed has its outcome told."""
        while self._claiming or self._sending:
            await asyncio.wait(self._claiming | self._sending)

    def abandon(self) -> None:
        """Forget what is not claimed: whoever leads next finds it in the store. Nothing more is
        claimed until the next run."""
        self._is_open = False
        for task in self._preparing:
            task.cancel()
        self._offered.clear()
        self._held.clear()
        self._todo.take(len(self._todo))
        for name in self._claimable.take(len(self._claimable)):
            if self._ready.pop(name, None) is not None:
                self._release()

    async def _prepare_loop(self, aged_ms: int) -> None:
        swept_ms = float("-inf")
        backoff = Backoff(self._clock)
        while True:
            await self._slot_freed.wait()
            try:
                if self._clock.boottime_ms() - swept_ms >= SWEEP_EVERY_MS:
                    found = await self._store.claimable(INTENTS_A_SWEEP, aged_ms=aged_ms)
                    self._queue(self._fresh(found))
                    swept_ms = self._clock.boottime_ms()
                backoff.reset()
            except StoreUnavailable as error:
                log.warning("executor.store_unavailable", error=str(error))
                await backoff.wait()
            if await self._todo.wait(SWEEP_EVERY_MS / 1000):
                await self._prepare_some()

    def _fresh(self, intents: Sequence[OrderIntent]) -> list[OrderIntent]:
        return [i for i in intents if not self._is_here(i.client_order_id)]

    def _is_here(self, name: ClientOrderId) -> bool:
        return name in self._offered or name in self._ready

    async def _prepare_some(self) -> None:
        """Start what there is a place for, and what its account has room for (ORD-11).

        The rest is forgotten, and comes again with the sweep: exits before entries.
        """
        names = self._todo.take(self._free)
        group = [self._offered[name] for name in names if name in self._offered]
        chosen = []
        for broker, theirs in self._by_broker(group):
            admitted = await self._admitted(broker, theirs)
            chosen += [intent for intent, goes in zip(theirs, admitted, strict=True) if goes]
            for intent, goes in zip(theirs, admitted, strict=True):
                if not goes:
                    self._offered.pop(intent.client_order_id, None)
        self._start_preparing(chosen)

    def _by_broker(
        self, intents: Sequence[OrderIntent]
    ) -> Sequence[tuple[Broker | None, list[OrderIntent]]]:
        groups: dict[tuple[str, str], list[OrderIntent]] = {}
        for intent in intents:
            key = (intent.order.broker, intent.order.account)
            groups.setdefault(key, []).append(intent)
        return [(self._broker_of(group[0]), group) for group in groups.values()]

    async def _admitted(self, broker: Broker | None, intents: Sequence[OrderIntent]) -> list[bool]:
        """Which of these the account has room for now; the claim counts again, exactly."""
        if not self._may_send(intents[0]):
            return [False] * len(intents)  # another instance may; here it comes again
        windows = broker.capabilities.order_rates if broker is not None else ()
        if self._rates is None or broker is None or not windows:
            return [True] * len(intents)
        try:
            room = await self._rates.room(f"{broker.name}/{broker.account}", windows)
        except StoreUnavailable as error:
            log.warning("executor.store_unavailable", error=str(error))
            return [False] * len(intents)
        return room.admitted([intent.adds_exposure for intent in intents])

    def _start_preparing(self, intents: Sequence[OrderIntent]) -> None:
        for intent in intents:
            self._take_slot()
            task = asyncio.create_task(self._prepare(intent))
            self._preparing.add(task)
            task.add_done_callback(self._preparing.discard)

    async def _prepare(self, intent: OrderIntent) -> None:
        prepared = None
        try:
            broker = self._broker_of(intent)
            if broker is None:
                log.error("executor.no_broker", broker=intent.order.broker)
            else:
                with urgently(_urgency_of(intent)):
                    signed = await broker.prepare(await self._priced(intent))
                if intent.client_order_id not in self._ready:  # offered twice, it is ready once
                    prepared = signed
        except OnefillError as error:
            # Nothing was claimed, so nothing is in doubt: the sweep brings it again.
            log.warning("executor.not_prepared", intent=intent.client_order_id, error=str(error))
        finally:
            self._offered.pop(intent.client_order_id, None)
            if prepared is None:
                self._release()
        if prepared is not None:
            self._ready[intent.client_order_id] = prepared
            self._claimable.add([intent.client_order_id])

    async def _claim_loop(self, epoch: Epoch | None) -> None:
        backoff = Backoff(self._clock)
        while True:
            await self._claimable.wait(3600)
            names = self._claimable.take(len(self._claimable))
            group = {name: self._ready[name] for name in names if name in self._ready}
            try:
                await asyncio.shield(self._start_claiming(epoch, group))
                backoff.reset()
            except StoreUnavailable as error:
                log.warning("executor.not_claimed", count=len(group), error=str(error))
                await backoff.wait()

    def _start_claiming(
        self, epoch: Epoch | None, group: Mapping[ClientOrderId, Prepared]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._claim_group(epoch, group))
        self._claiming.add(task)
        task.add_done_callback(self._claimed)
        return task

    def _claimed(self, task: asyncio.Task[None]) -> None:
        self._claiming.discard(task)
        if not task.cancelled():
            task.exception()  # heard by the loop; where that has ended, there is nothing to do

    async def _claim_group(
        self, epoch: Epoch | None, group: Mapping[ClientOrderId, Prepared]
    ) -> None:
        mine: set[ClientOrderId] = set()
        try:
            if self._is_open:
                mine = await self._claim(epoch, group)
                self._note_won((name, group[name].attempt) for name in mine)
        finally:
            for name, prepared in group.items():
                self._ready.pop(name, None)
                if name in mine:
                    self._start_sending(prepared)
                else:
                    self._release()

    async def _claim(
        self, epoch: Epoch | None, group: Mapping[ClientOrderId, Prepared]
    ) -> set[ClientOrderId]:
        claims = [claim_of(prepared) for prepared in group.values()]
        try:
            answers = await self._store.claim(epoch, claims)
        except CommitUnknown:
            return await self._claimed_unheard(claims, group)
        shut = [name for name, answer in answers.items() if answer == "shut"]
        if shut and self._lanes is not None:  # the lane ends what is not sent any more
            self._lanes.add([group[name].intent.lane for name in shut])
        return {name for name, answer in answers.items() if answer == "claimed"}

    async def _claimed_unheard(
        self, claims: Sequence[Claim], group: Mapping[ClientOrderId, Prepared]
    ) -> set[ClientOrderId]:
        """What a commit of unknown outcome has claimed, without what was won, and sent, before: an
        intent that was read before its claim may come here again after it."""
        mine = await self._store.claimed_by_me(claims)
        return {name for name in mine if (name, group[name].attempt) not in self._won}

    def _note_won(self, attempts: Iterable[tuple[ClientOrderId, int]]) -> None:
        self._won.update(dict.fromkeys(attempts))
        while len(self._won) > WINS_KEPT:
            self._won.popitem(last=False)

    # Claimed: to the end in any case -----------------------------------------------------------

    def _start_sending(self, prepared: Prepared) -> None:
        task = asyncio.create_task(self._send(prepared))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, prepared: Prepared) -> None:
        intent = prepared.intent
        broker = self._broker_of(intent)
        try:
            assert broker is not None
            with urgently(Urgency.FIRST):
                outcome = await broker.send(prepared)
        except Exception as error:  # whatever it was, the order may be out there
            log.exception("executor.send_failed", intent=intent.client_order_id)
            outcome = Unknown(detail=f"{type(error).__name__}: {error}")
        finally:
            self._release()
        self._tell(
            Told(client_order_id=intent.client_order_id, attempt=prepared.attempt, word=outcome)
        )

    def _take_slot(self) -> None:
        self._free -= 1
        if self._free <= 0:
            self._slot_freed.clear()

    def _release(self) -> None:
        self._free += 1
        self._slot_freed.set()


def _urgency_of(intent: OrderIntent) -> Urgency:
    return Urgency.NORMAL if intent.adds_exposure else Urgency.FIRST
