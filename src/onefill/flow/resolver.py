"""Orders in doubt → what became of them, as each broker's class allows (ORD-7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from onefill.core.errors import CommitUnknown, OnefillError, StoreUnavailable
from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.orders.changes import is_carried_out, may_be_repeated
from onefill.core.orders.rates import Urgency
from onefill.core.orders.report import (
    Absent,
    Carried,
    Found,
    LookUp,
    NoAnswer,
    NotPlaced,
    NotSent,
    Outcome,
    Placed,
    Unknown,
)
from onefill.core.orders.settlement import Told, Unsettled
from onefill.flow.looking import look_up_surely
from onefill.ports.broker import Broker, OrderClass, Prepared
from onefill.ports.claims import claim_of
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.rates import urgently
from onefill.ports.trading import TradingStore

LOOK_EVERY_S = 0.25
INTENTS_A_ROUND = 1024
LOOK_UPS_AT_ONCE = 16
"""Of each account."""

log = structlog.get_logger()


class Resolver:
    """Looks up what is in doubt, while its instance leads, until it is known or a person's."""

    def __init__(
        self,
        *,
        store: TradingStore,
        broker_of: Callable[[OrderIntent], Broker | None],
        tell: Callable[[Told], None],
        clock: Clock,
        quarantine_after_s: float,
    ) -> None:
        self._store = store
        self._broker_of = broker_of
        self._tell = tell
        self._clock = clock
        self._quarantine_after = timedelta(seconds=quarantine_after_s)
        self._places: dict[tuple[str, str], asyncio.Semaphore] = {}
        self._looking: set[ClientOrderId] = set()
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self, epoch: Epoch) -> None:
        """Resolve until cancelled. Raises Fenced when the epoch is over."""
        self._looking.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self._round(epoch, tasks)
                except StoreUnavailable as error:
                    log.warning("resolver.store_unavailable", error=str(error))
                await self._clock.sleep(LOOK_EVERY_S)

    async def drained(self) -> None:
        """Return when every request that was sent again has its outcome told."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def _round(self, epoch: Epoch, tasks: asyncio.TaskGroup) -> None:
        """Begin what is not under way yet: a broker that is silent holds up nobody else's."""
        intents = await self._store.unresolved(INTENTS_A_ROUND)
        fresh = [intent for intent in intents if intent.client_order_id not in self._looking]
        if not fresh:
            return
        now = await self._store.now()
        for intent in fresh:
            self._looking.add(intent.client_order_id)
            tasks.create_task(self._resolve_alone(epoch, intent, now))

    async def _resolve_alone(self, epoch: Epoch, intent: OrderIntent, now: datetime) -> None:
        """What fails for one order must not end the look-ups, or a send, of the others."""
        try:
            with urgently(Urgency.FIRST):
                await self._resolve(epoch, intent, now)
        except StoreUnavailable as error:
            log.warning("resolver.not_resolved", intent=intent.client_order_id, error=str(error))
        finally:
            self._looking.discard(intent.client_order_id)

    async def _resolve(self, epoch: Epoch, intent: OrderIntent, now: datetime) -> None:
        broker = self._broker_of(intent)
        if broker is None:
            return
        account = (intent.order.broker, intent.order.account)
        places = self._places.setdefault(account, asyncio.Semaphore(LOOK_UPS_AT_ONCE))
        async with places:
            reach(Failpoint.LOOK_UP_BEFORE)
            answer = await look_up_surely(broker, self._store, intent)
            reach(Failpoint.LOOK_UP_AFTER)
        if intent.verb is not Verb.PLACE:
            self._resolve_change(intent, answer, now)
            return
        match answer:
            case Found(report=report):
                self._say(intent, Placed(report=report))
            case Absent(conclusive=True):
                self._say(intent, answer)
            case Absent() if _may_be_resent(broker, intent, now):
                await self._resend(epoch, broker, intent)
            case Absent(detail=detail) | NoAnswer(detail=detail):
                self._quarantine_if_hopeless(broker, intent, now, detail)

    def _resolve_change(self, intent: OrderIntent, answer: LookUp, now: datetime) -> None:
        """A cancel or a change carries absolute values: after a look-up it may be sent again."""
        match answer:
            case Found(report=report) if is_carried_out(intent, report):
                self._say(intent, Carried(report=report))
            case Found(report=report) if may_be_repeated(intent, now):
                detail = f"the order is still {report.status.value}"
                self._say(intent, Absent(conclusive=True, detail=detail))
            case Absent(detail=detail) | NoAnswer(detail=detail):
                log.warning("resolver.no_target", intent=intent.client_order_id, detail=detail)

    def _say(self, intent: OrderIntent, word: Placed | Absent | Unsettled | Carried) -> None:
        log.info("resolver.settled", intent=intent.client_order_id, word=type(word).__name__)
        self._tell(Told(client_order_id=intent.client_order_id, attempt=intent.attempt, word=word))

    def _quarantine_if_hopeless(
        self, broker: Broker, intent: OrderIntent, now: datetime, detail: str
    ) -> None:
        if broker.capabilities.order_class is OrderClass.B:
            return  # it becomes conclusive by itself; a silent venue is asked again
        sent_by = intent.send_by or now
        if intent.state is not IntentState.QUARANTINED and now - sent_by > self._quarantine_after:
            log.critical("resolver.quarantined", intent=intent.client_order_id, detail=detail)
            self._say(intent, Unsettled(detail=detail))

    async def _resend(self, epoch: Epoch, broker: Broker, intent: OrderIntent) -> None:
        """Class A: the same id again; if the first one arrived, the venue says «duplicate»."""
        try:
            prepared = await broker.prepare(intent)
        except OnefillError as error:
            log.warning("resolver.not_prepared", intent=intent.client_order_id, error=str(error))
            return
        claim = claim_of(prepared, resend=True)
        try:
            claimed = (await self._store.claim(epoch, [claim])).get(intent.client_order_id)
            mine = claimed == "claimed"
        except CommitUnknown:
            mine = bool(await self._store.claimed_by_me([claim]))
        if mine:
            # To its end in any case, as at first: an answer must not be lost with the term.
            task = asyncio.create_task(self._send(broker, prepared))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            await asyncio.shield(task)

    async def _send(self, broker: Broker, prepared: Prepared) -> None:
        intent = prepared.intent
        try:
            word = _of_all_attempts(await broker.send(prepared))
        except Exception as error:  # whatever it was, the order may be out there
            log.exception("resolver.send_failed", intent=intent.client_order_id)
            word = Unknown(detail=f"{type(error).__name__}: {error}")
        self._tell(
            Told(client_order_id=intent.client_order_id, attempt=prepared.attempt, word=word)
        )


def _of_all_attempts(outcome: Outcome) -> Outcome:
    """What the answer to a repeat says of the order: a no to it says nothing of those before."""
    if isinstance(outcome, NotPlaced | NotSent):
        return Unknown(detail=f"an earlier attempt may still arrive; this one: {outcome}")
    return outcome


def _may_be_resent(broker: Broker, intent: OrderIntent, now: datetime) -> bool:
    """Class A only, while its broker surely remembers the id, and an entry only while it is fresh:
    a late one would trade an old price."""
    able = broker.capabilities
    if able.order_class is not OrderClass.A:
        return False
    age = now - intent.signed_at if intent.signed_at is not None else timedelta(0)
    remembered = able.retention_s is None or age <= timedelta(seconds=able.retention_s) / 2
    return remembered and (intent.valid_until is None or now <= intent.valid_until)
