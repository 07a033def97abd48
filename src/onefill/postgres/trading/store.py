"""ports.trading.TradingStore on PostgreSQL: one transaction for each stage and group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import OrderIntent
from onefill.core.orders.limits import LimitBook
from onefill.core.orders.settlement import Told
from onefill.keeping.apart import decide_apart, settle_apart
from onefill.keeping.planning import Policy, RollsOver
from onefill.ports.doubts import Waiting
from onefill.ports.failpoints import Failpoint
from onefill.ports.lease import Holder
from onefill.ports.trading import (
    Claim,
    ContinueExits,
    Decide,
    Decided,
    Read,
    Settle,
    Settled,
)
from onefill.postgres.connecting import Connecting
from onefill.postgres.connection import Held, Surroundings
from onefill.postgres.faults import Conflicted
from onefill.postgres.trading import worklists
from onefill.postgres.trading.books import Teller
from onefill.postgres.trading.claim import Door, claim_group, mine
from onefill.postgres.trading.decide import ClaimedMeanwhile, Desk, decide_group
from onefill.postgres.trading.settle import settle_group

_INTRODUCE = """
WITH fresh AS (
    SELECT DISTINCT ON (lane) lane, portfolio, instrument FROM signal_log
    WHERE lane = ANY($1) AND processing_status = 'received'),
portfolios AS (
    INSERT INTO portfolio_state (portfolio, initial_capital, equity_high)
    SELECT DISTINCT portfolio, $2::numeric, $2::numeric FROM fresh ORDER BY 1
    ON CONFLICT (portfolio) DO NOTHING)
INSERT INTO lanes (lane, portfolio, instrument)
SELECT lane, portfolio, instrument FROM fresh ORDER BY lane ON CONFLICT (lane) DO NOTHING"""

_ATTEMPTS_MAX = 3
_SERIALIZABLE_ATTEMPTS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the store must be told of the world.

    read: a logged payload back into a Signal. initial_capital: of a portfolio that nobody
    configured. live: `broker/account` pairs of real money; all others are paper (ORD-14).
    signals_a_lane: how many are decided in one go, so that no lane holds up the group.
    limits: what accounts never do, checked in every claim (ORD-15). is_shut: whether an
    instrument's market is closed at that moment, asked in every claim (SIG-18).
    """

    read: Read
    initial_capital: Decimal
    live: tuple[str, ...] = ()
    signals_a_lane: int = 16
    limits: LimitBook = field(default_factory=LimitBook)
    is_shut: Callable[[str, datetime], bool] = lambda _instrument, _moment: False


@dataclass(slots=True)
class _Connections:
    """One for each stage, so that none waits for another."""

    decide: Held
    claim: Held
    settle: Held
    read: Held

    def all(self) -> tuple[Held, ...]:
        return (self.decide, self.claim, self.settle, self.read)


class PostgresTradingStore:
    """The store of the trade path (ORD-1 to ORD-4, ORD-8). Belongs to one event loop."""

    def __init__(self, connecting: Connecting, around: Surroundings, terms: Terms) -> None:
        self._me: Holder = connecting.holder
        self._terms = terms
        self._held = _Connections(*(Held(connecting, around) for _ in range(4)))
        self._known: set[Lane] = set()

    async def lanes_with_work(self, limit: int) -> Sequence[Lane]:
        """Lanes with undecided signals, or with a closing position whose next exit is due."""
        return await worklists.lanes_with_work(self._held.read, limit)

    async def decide(
        self, epoch: Epoch | None, lanes: Sequence[Lane], decide: Decide, exits: ContinueExits
    ) -> Decided:
        """Decide the next signals of those lanes that are idle."""
        policy = Policy(read=self._terms.read, decide=decide, exits=exits)
        await self._introduce(lanes)
        once = partial(self._decide_once, epoch)
        return await decide_apart(once, sorted(set(lanes)), policy, self._terms.signals_a_lane)

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        """NEW intents whose predecessor, if any, is FILLED; oldest first."""
        return await worklists.claimable(self._held.read, limit, aged_ms)

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        """For each claim: `claimed`, `taken`, `expired`, `limited`, `paused`, …"""
        if not claims:
            return {}
        before, after = Failpoint.CLAIM_BEFORE_COMMIT, Failpoint.CLAIM_AFTER_COMMIT
        door = Door(limits=self._terms.limits, is_shut=self._terms.is_shut)
        async with self._held.claim.guarded(epoch, before, after) as transaction:
            return await claim_group(transaction, claims, self._me, self._teller(epoch), door)

    async def claimed_by_me(self, claims: Sequence[Claim]) -> set[ClientOrderId]:
        """After CommitUnknown: which of these attempts are this process's own."""
        return await mine(self._held.read, claims, self._me)

    async def settle(self, told: Sequence[Told], settle: Settle) -> Settled:
        """Write what brokers said; one bad lane is set apart, the others are written."""
        if not told:
            return Settled()
        return await settle_apart(self._settle, told, settle)

    async def unresolved(self, limit: int) -> Sequence[OrderIntent]:
        """IN_DOUBT; and SENDING past its send_by, or made by an earlier boot of this instance."""
        return await worklists.unresolved(self._held.read, self._me, limit)

    async def working(self, limit: int, *, mine: bool = False) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED: orders whose fills are still to come."""
        sender = self._me.instance if mine else None
        return await worklists.working(self._held.read, limit, sender)

    async def chased(self, limit: int) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED orders that follow their price."""
        return await worklists.chased(self._held.read, limit)

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet."""
        return await worklists.nameless(self._held.read, limit)

    async def named(self, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
        """The intents of these ids that place orders."""
        return await worklists.named(self._held.read, names)

    async def lingering(self, limit: int) -> Sequence[OrderIntent]:
        """QUARANTINED, and for an hour NOT_PLACED."""
        return await worklists.lingering(self._held.read, limit)

    async def unacknowledged(self, limit: int) -> Sequence[Waiting]:
        """QUARANTINED, and no person has said yet that they know."""
        return await worklists.unacknowledged(self._held.read, limit)

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents."""
        return await worklists.known_orders(self._held.read, broker, ids)

    async def now(self) -> datetime:
        """The database's clock."""
        return await worklists.now(self._held.read)

    async def is_paused(self) -> bool:
        """Whether a person paused trading; the claims and decisions look for themselves."""
        return await worklists.is_paused(self._held.read)

    async def close(self) -> None:
        """Let the connections go."""
        for held in self._held.all():
            await held.close()

    def _teller(self, epoch: Epoch | None = None) -> Teller:
        return Teller(instance=self._me.instance, epoch=epoch)

    async def _introduce(self, lanes: Iterable[Lane]) -> None:
        """Make the rows of lanes and portfolios that are new here, before anything is locked."""
        new = sorted(set(lanes) - self._known)
        if new:
            await self._held.decide.write(_INTRODUCE, new, self._terms.initial_capital)
            self._known.update(new)

    async def _decide_once(
        self, epoch: Epoch | None, lanes: Sequence[Lane], policy: Policy, limit: int
    ) -> Decided:
        desk = Desk(teller=self._teller(epoch), live=self._terms.live, signals_a_lane=limit)
        before, after = Failpoint.DECIDE_BEFORE_COMMIT, Failpoint.DECIDE_AFTER_COMMIT
        for _ in range(_ATTEMPTS_MAX):
            try:
                async with self._held.decide.guarded(epoch, before, after) as transaction:
                    plan, locked = await decide_group(transaction, lanes, policy, desk)
            except ClaimedMeanwhile:
                continue
            except RollsOver as rolls:
                rest = [lane for lane in lanes if lane not in rolls.lanes]
                rolled = await self._decide_rolling(epoch, sorted(rolls.lanes), policy, desk)
                return replace(rolled, again=(*rolled.again, *rest))
            # Busy now, or gone with a database that was restored: looked for again next time.
            self._known.difference_update(set(lanes) - locked)
            return plan.outcome
        return Decided(again=tuple(lanes))

    async def _decide_rolling(
        self, epoch: Epoch | None, lanes: Sequence[Lane], policy: Policy, desk: Desk
    ) -> Decided:
        """Steps of rollovers, at SERIALIZABLE; again where others wrote what they had read."""
        before, after = Failpoint.DECIDE_BEFORE_COMMIT, Failpoint.DECIDE_AFTER_COMMIT
        strict = replace(desk, serializable=True)
        for _ in range(_SERIALIZABLE_ATTEMPTS_MAX):
            with contextlib.suppress(Conflicted, ClaimedMeanwhile):
                async with self._held.decide.guarded(
                    epoch, before, after, serializable=True
                ) as transaction:
                    plan, _ = await decide_group(transaction, lanes, policy, strict)
                return plan.outcome
        return Decided(again=tuple(lanes))

    async def _settle(self, told: Sequence[Told], settle: Settle) -> Settled:
        try:
            return await self._settle_at(told, settle, serializable=False)
        except RollsOver:
            for _ in range(_SERIALIZABLE_ATTEMPTS_MAX - 1):
                with contextlib.suppress(Conflicted):
                    return await self._settle_at(told, settle, serializable=True)
            return await self._settle_at(told, settle, serializable=True)

    async def _settle_at(
        self, told: Sequence[Told], settle: Settle, *, serializable: bool
    ) -> Settled:
        before, after = Failpoint.SETTLE_BEFORE_COMMIT, Failpoint.SETTLE_AFTER_COMMIT
        async with self._held.settle.transaction(
            before, after, serializable=serializable
        ) as transaction:
            return await settle_group(
                transaction, told, settle, self._teller(), serializable=serializable
            )
