"""ports.trading.TradingStore and its neighbours on the simulated database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import ACCOMPLISHED, IntentState, OrderIntent, Verb
from onefill.core.invariants import violations
from onefill.core.money import ZERO
from onefill.core.orders.reconcile import KnownOrder
from onefill.core.orders.settlement import Told
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import Policy
from onefill.ports.doubts import Waiting
from onefill.ports.lease import Holder
from onefill.ports.recovery import Holdings
from onefill.ports.trading import Claim, ContinueExits, Decide, Decided, Read, Settle, Settled
from onefill.sim.claiming import Claimant, claim_group
from onefill.sim.connection import Held
from onefill.sim.database import Session
from onefill.sim.deciding import ClaimedMeanwhile, decide_group, introduce
from onefill.sim.protections import Protection, Without
from onefill.sim.settling import settle_group
from onefill.sim.tables import Tables

S = IntentState
ATTEMPTS_MAX = 3
LINGERS = timedelta(hours=1)
RECENT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Connections:
    """One for each stage, as in PostgreSQL's store."""

    decide: Held
    claim: Held
    settle: Held
    read: Held


class SimTradingStore:
    """The store of the trade path, one for each process."""

    def __init__(self, held: Connections, me: Holder, read: Read, without: Without) -> None:
        self._held = held
        self._me = me
        self._read = read
        self._without = without

    async def lanes_with_work(self, limit: int) -> Sequence[Lane]:
        """Lanes with undecided signals, or with an exit that is due."""
        return (await self._held.read.read(_lanes_with_work))[:limit]

    async def decide(
        self, epoch: Epoch | None, lanes: Sequence[Lane], decide: Decide, exits: ContinueExits
    ) -> Decided:
        """Decide the next signals of those lanes that are idle."""
        policy = Policy(read=self._read, decide=decide, exits=exits)
        with_locks = Protection.LANE not in self._without
        await self._held.decide.write(lambda session: introduce(session, lanes))
        for _ in range(ATTEMPTS_MAX):
            try:
                async with self._held.decide.transaction(epoch) as transaction:
                    plan = await decide_group(
                        transaction, sorted(set(lanes)), policy, with_locks=with_locks
                    )
            except ClaimedMeanwhile:
                continue
            return plan.outcome
        return Decided(again=tuple(lanes))

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        """NEW intents whose predecessor, if any, is FILLED; oldest first."""
        return (await self._held.read.read(lambda session: _claimable(session, aged_ms)))[:limit]

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        """For each claim: `claimed`, or why not."""
        if not claims:
            return {}
        claimant = Claimant(
            me=self._me,
            epoch=epoch,
            compares=Protection.CLAIM not in self._without,
            minds_doubt=Protection.DOUBT not in self._without,
        )
        async with self._held.claim.transaction(epoch) as transaction:
            return await claim_group(transaction, claims, claimant)

    async def claimed_by_me(self, claims: Sequence[Claim]) -> set[ClientOrderId]:
        """After CommitUnknown: which of these attempts are this process's own."""
        keys = [(claim.client_order_id, claim.attempt) for claim in claims]
        if Protection.REREAD in self._without:
            return {name for name, _ in keys}

        def statement(session: Session) -> set[ClientOrderId]:
            attempts = session.database.tables.attempts
            mine = (key for key in keys if key in attempts)
            return {key[0] for key in mine if attempts[key].boot == self._me.boot}

        return await self._held.read.read(statement)

    async def settle(self, told: Sequence[Told], settle: Settle) -> Settled:
        """Write what brokers said."""
        if not told:
            return Settled()
        async with self._held.settle.transaction() as transaction:
            return await settle_group(transaction, told, settle)

    async def unresolved(self, limit: int) -> Sequence[OrderIntent]:
        """IN_DOUBT; and SENDING past its send_by, or made by an earlier boot of this instance."""

        def statement(session: Session) -> list[OrderIntent]:
            tables, now = session.database.tables, session.database.now()
            sent = tables.in_states(S.SENDING)
            lost = [i for i in sent if i.is_unresolved(now) or self._is_an_earlier(tables, i)]
            return [*tables.in_states(S.IN_DOUBT), *lost]

        return (await self._held.read.read(statement))[:limit]

    async def working(self, limit: int, *, mine: bool = False) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED; only what this instance sent, where asked."""

        def statement(session: Session) -> list[OrderIntent]:
            tables = session.database.tables
            working = tables.in_states(S.ACKED, S.PARTIALLY_FILLED)
            return [i for i in working if not mine or self._is_of_this_instance(tables, i)]

        return (await self._held.read.read(statement))[:limit]

    async def chased(self, limit: int) -> Sequence[OrderIntent]:
        """None: all is traded at market here."""
        return ()

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet."""
        sent = await self._in(S.SENDING, S.IN_DOUBT, S.QUARANTINED)
        return [i for i in sent if i.broker_order_id is None and i.verb is Verb.PLACE][:limit]

    async def lingering(self, limit: int) -> Sequence[OrderIntent]:
        """QUARANTINED, and for an hour NOT_PLACED."""
        return (await self._in(S.QUARANTINED, S.NOT_PLACED))[:limit]

    async def unacknowledged(self, limit: int) -> Sequence[Waiting]:
        """Nobody is shouted at in here."""
        return ()

    async def named(self, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
        """The intents of these ids that place orders."""

        def statement(session: Session) -> list[OrderIntent]:
            intents = session.database.tables.intents
            found = (intents[name] for name in names if name in intents)
            return [intent for intent in found if intent.verb is Verb.PLACE]

        return await self._held.read.read(statement)

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents."""

        def statement(session: Session) -> dict[str, ClientOrderId]:
            intents = session.database.tables.intents.values()
            mine = ((i.broker_order_id, i.client_order_id) for i in intents)
            return {number: name for number, name in mine if number in ids}  # type: ignore[misc]

        return await self._held.read.read(statement)

    async def now(self) -> datetime:
        """The database's clock."""
        return await self._held.read.read(lambda session: session.database.now())

    async def _in(self, *states: IntentState) -> list[OrderIntent]:
        return await self._held.read.read(lambda s: s.database.tables.in_states(*states))

    def _is_an_earlier(self, tables: Tables, intent: OrderIntent) -> bool:
        holder = tables.makings[intent.client_order_id].holder
        return self._is_of_this_instance(tables, intent) and holder != self._me

    def _is_of_this_instance(self, tables: Tables, intent: OrderIntent) -> bool:
        holder = tables.makings[intent.client_order_id].holder
        return holder is not None and holder.instance == self._me.instance


class SimRecoveryStore:
    """ports.recovery.RecoveryStore."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold in the stored book."""
        return await self._held.read(lambda session: broken_promises(session.database.tables))

    async def holdings(self, broker: str, account: str) -> Holdings:
        """What our book says this account holds."""
        return await self._held.read(_holdings)

    async def known(
        self, broker: str, account: str, numbers: Sequence[str], names: Sequence[str]
    ) -> Sequence[KnownOrder]:
        """Our intents with these broker order ids, or with these client order ids."""

        def statement(session: Session) -> list[KnownOrder]:
            intents = session.database.tables.intents.values()
            return [
                _known(i)
                for i in intents
                if i.verb is Verb.PLACE
                and (i.broker_order_id in numbers or i.client_order_id in names)
            ]

        return await self._held.read(statement)

    async def accepted(self, broker: str, account: str) -> AbstractSet[str]:
        """Nobody has looked at anything."""
        return frozenset()

    async def save_reconciliation(
        self, epoch: Epoch | None, trigger: str, clean: bool, report: str
    ) -> None:
        """Nobody reads it."""


def broken_promises(tables: Tables) -> list[str]:
    """Every broken promise of the positions that are not closed, in words."""
    live = {p.id: p for p in tables.positions.values() if p.is_live}
    intents = [i for i in tables.intents.values() if i.position_id in live]
    names = {i.client_order_id for i in intents}
    fills = [fill for fill in tables.fills if fill.client_order_id in names]
    return [str(each) for each in violations(intents, list(live.values()), fills)]


def _lanes_with_work(session: Session) -> list[Lane]:
    tables, now = session.database.tables, session.database.now()
    waiting = [r.new.lane for r in tables.signals.values() if r.status is SignalStatus.RECEIVED]
    unfinished = (PositionStatus.CLOSING, PositionStatus.PARTIAL)
    closing = [
        p.lane
        for p in tables.positions.values()
        if p.status in unfinished and (p.next_exit_at is None or p.next_exit_at <= now)
    ]
    return list(dict.fromkeys((*closing, *sorted(waiting))))


def _claimable(session: Session, aged_ms: int) -> list[OrderIntent]:
    tables = session.database.tables
    intents = tables.intents
    latest = session.database.now() - timedelta(milliseconds=aged_ms)

    def is_ready(intent: OrderIntent) -> bool:
        if tables.makings[intent.client_order_id].created_at > latest:
            return False
        return intent.after is None or intents[intent.after].state in ACCOMPLISHED

    return [i for i in tables.in_states(S.NEW) if is_ready(i)]


def _holdings(session: Session) -> Holdings:
    tables = session.database.tables
    net: dict[str, Decimal] = {}
    for position in tables.positions.values():
        for leg in position.legs if position.is_live else ():
            net[leg.symbol] = net.get(leg.symbol, ZERO) + leg.net
    states = (S.SENDING, S.IN_DOUBT, S.QUARANTINED)
    return Holdings(
        net={symbol: quantity for symbol, quantity in net.items() if quantity != 0},
        unsettled={i.order.symbol for i in tables.in_states(*states)},
        recent={i.order.symbol for i in tables.intents.values()},
    )


def _known(intent: OrderIntent) -> KnownOrder:
    return KnownOrder(
        client_order_id=intent.client_order_id,
        attempt=intent.attempt,
        state=intent.state,
        symbol=intent.order.symbol,
        quantity=intent.order.quantity,
        filled_quantity=intent.filled_quantity,
        broker_order_id=intent.broker_order_id,
    )
