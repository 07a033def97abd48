"""ports.trading.TradingStore on Redis: look, decide, and one commit for each stage and group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import OrderIntent
from onefill.core.orders.settlement import Told
from onefill.keeping.apart import decide_apart, settle_apart
from onefill.keeping.planning import Plan, Policy
from onefill.ports.doubts import Waiting
from onefill.ports.failpoints import Failpoint, reach
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
from onefill.redis.authority import Changes, RedisAuthority, Stale
from onefill.redis.trading import worklists
from onefill.redis.trading.claim import Verdicts, claim_group, is_mine
from onefill.redis.trading.decide import Desk, decide_group
from onefill.redis.trading.settle import settle_group

ATTEMPTS_MAX = 12
"""Others write between look and commit only where two instances execute, for a moment."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the store must be told of the world.

    read: a logged payload back into a Signal. initial_capital: of a portfolio. live:
    `broker/account` pairs of real money; all others are paper (ORD-14). signals_a_lane: how many
    are decided in one go, so that no lane holds up the group.
    """

    read: Read
    initial_capital: Decimal
    live: tuple[str, ...] = ()
    signals_a_lane: int = 16


class RedisTradingStore:
    """The store of the trade path (ORD-1 to ORD-4, ORD-8). Belongs to one event loop."""

    def __init__(self, authority: RedisAuthority, me: Holder, terms: Terms) -> None:
        self._authority = authority
        self._me = me
        self._terms = terms
        # The loops of one instance take turns, so that they never make each other look again.
        self._turn = asyncio.Lock()

    async def lanes_with_work(self, limit: int) -> Sequence[Lane]:
        """Lanes with undecided signals, or with a closing position whose next exit is due."""
        return await worklists.lanes_with_work(self._authority, limit)

    async def decide(
        self, epoch: Epoch | None, lanes: Sequence[Lane], decide: Decide, exits: ContinueExits
    ) -> Decided:
        """Decide the next signals of those lanes."""
        policy = Policy(read=self._terms.read, decide=decide, exits=exits)
        once = partial(self._decide_once, epoch)
        return await decide_apart(once, sorted(set(lanes)), policy, self._terms.signals_a_lane)

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        """NEW intents whose predecessor, if any, is FILLED; oldest first."""
        return await worklists.claimable(self._authority, limit, aged_ms)

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        """For each claim: `claimed`, `taken`, `expired`, `paused`, …"""
        if not claims:
            return {}

        async def once() -> tuple[Verdicts, Changes]:
            return await claim_group(self._authority, claims, self._me, epoch)

        points = Failpoint.CLAIM_BEFORE_COMMIT, Failpoint.CLAIM_AFTER_COMMIT
        return await self._committed(epoch, once, points)

    async def claimed_by_me(self, claims: Sequence[Claim]) -> set[ClientOrderId]:
        """After CommitUnknown: which of these attempts are this process's own."""
        seen = await self._authority.look(names=[claim.client_order_id for claim in claims])
        return {claim.client_order_id for claim in claims if is_mine(seen, claim, self._me)}

    async def settle(self, told: Sequence[Told], settle: Settle) -> Settled:
        """Write what brokers said; one bad lane is set apart, the others are written."""
        if not told:
            return Settled()
        return await settle_apart(self._settle_once, told, settle)

    async def unresolved(self, limit: int) -> Sequence[OrderIntent]:
        """IN_DOUBT; and SENDING past its send_by, or made by an earlier boot of this instance."""
        return await worklists.unresolved(self._authority, self._me, limit)

    async def working(self, limit: int, *, mine: bool = False) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED: orders whose fills are still to come."""
        sender = self._me.instance if mine else None
        return await worklists.working(self._authority, limit, sender)

    async def chased(self, limit: int) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED orders that follow their price."""
        return await worklists.chased(self._authority, limit)

    async def is_paused(self) -> bool:
        """Whether a person paused trading; the claims and decisions look for themselves."""
        return (await self._authority.look()).paused

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet."""
        return await worklists.nameless(self._authority, limit)

    async def lingering(self, limit: int) -> Sequence[OrderIntent]:
        """QUARANTINED, and for an hour NOT_PLACED."""
        return await worklists.lingering(self._authority, limit)

    async def unacknowledged(self, limit: int) -> Sequence[Waiting]:
        """QUARANTINED, and no person has said yet that they know."""
        return await worklists.unacknowledged(self._authority, limit)

    async def named(self, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
        """The intents of these ids that place orders."""
        return await worklists.named(self._authority, names)

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents."""
        return await worklists.known_orders(self._authority, broker, ids)

    async def now(self) -> datetime:
        """The server's clock."""
        return await self._authority.now()

    async def _decide_once(
        self, epoch: Epoch | None, lanes: Sequence[Lane], policy: Policy, limit: int
    ) -> Decided:
        if not lanes:
            return Decided()
        desk = Desk(
            instance=self._me.instance,
            epoch=epoch,
            initial_capital=self._terms.initial_capital,
            live=self._terms.live,
            signals_a_lane=limit,
        )

        async def once() -> tuple[Plan, Changes]:
            return await decide_group(self._authority, lanes, policy, desk)

        points = Failpoint.DECIDE_BEFORE_COMMIT, Failpoint.DECIDE_AFTER_COMMIT
        return (await self._committed(epoch, once, points)).outcome

    async def _settle_once(self, told: Sequence[Told], settle: Settle) -> Settled:
        async def once() -> tuple[Settled, Changes]:
            return await settle_group(self._authority, told, settle, self._me.instance)

        points = Failpoint.SETTLE_BEFORE_COMMIT, Failpoint.SETTLE_AFTER_COMMIT
        return await self._committed(None, once, points)

    async def _committed(
        self,
        epoch: Epoch | None,
        once: Callable[[], Awaitable[tuple[_T, Changes]]],
        points: tuple[Failpoint, Failpoint],
    ) -> _T:
        """What came of it, once it is written; looked at anew while others write as well."""
        async with self._turn:
            for _ in range(ATTEMPTS_MAX):
                try:
                    result, changes = await once()
                    reach(points[0])
                    await self._authority.commit(epoch, changes)
                    reach(points[1])
                    return result
                except Stale:
                    continue
        raise StoreUnavailable("Others write in these lanes all the time.")
