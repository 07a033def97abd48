"""ports.recovery.RecoveryStore on Redis: is the book whole, and what does it hold."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from decimal import Decimal

from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.invariants import violations
from onefill.core.money import ZERO
from onefill.core.orders.hearing import Fill
from onefill.core.orders.reconcile import KnownOrder
from onefill.core.position import Position
from onefill.ports.recovery import Holdings
from onefill.redis import scripts
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import (
    KeptIntent,
    body_of,
    fill_of,
    intent_of,
    micros,
    order_of,
    position_of,
)
from onefill.redis.keys import INTENTS, POSITIONS, RECONCILIATIONS, key

S = IntentState
UNSETTLED = (S.SENDING, S.IN_DOUBT, S.QUARANTINED)
RECENT = timedelta(minutes=15)
REPORTS_KEPT = 1_000


class RedisRecoveryStore:
    """Reads the whole live book; made for starts and audits, not for hot paths."""

    def __init__(self, authority: RedisAuthority, instance: str) -> None:
        self._authority = authority
        self._instance = instance

    async def broken_promises(self) -> Sequence[str]:
        """Every violated invariant of the positions that are not closed, in words."""
        positions, intents, fills = await self._book()
        found = await asyncio.to_thread(violations, intents, positions, fills)
        return [str(violation) for violation in found]

    async def holdings(self, broker: str, account: str) -> Holdings:
        """What our book says this account holds."""
        unsettled = await self._listed(*UNSETTLED)
        recent = await self._recent()
        positions, _, _ = await self._book()
        net: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for position in positions:
            for leg in position.legs:
                if (leg.broker, leg.account) == (broker, account):
                    net[leg.symbol] += leg.net
        return Holdings(
            net={symbol: quantity for symbol, quantity in net.items() if quantity != 0},
            unsettled=_symbols(unsettled, broker, account),
            recent=_symbols(recent, broker, account),
        )

    async def known(
        self, broker: str, account: str, numbers: Sequence[str], names: Sequence[str]
    ) -> Sequence[KnownOrder]:
        """Our intents with these broker order ids, or with these client order ids."""
        wanted = list(names)
        if numbers:
            found = await self._authority.call("HMGET", key("orders", broker), *numbers)
            wanted += [name.decode() for name in found if name is not None]
        intents = await self._intents(wanted)
        return [
            _known(intent)
            for intent in intents
            if intent.verb is Verb.PLACE
            and (intent.order.broker, intent.order.account) == (broker, account)
        ]

    async def accepted(self, broker: str, account: str) -> AbstractSet[str]:
        """Broker order ids that a person has looked at."""
        found = await self._authority.call("SMEMBERS", key("accepted", f"{broker}/{account}"))
        return {number.decode() for number in found}

    async def save_reconciliation(
        self, epoch: Epoch | None, trigger: str, clean: bool, report: str
    ) -> None:
        """Keep a report, among the latest ones."""
        row = {
            "at": await self._authority.now(),
            "instance": self._instance,
            "epoch": epoch,
            "trigger": trigger,
            "clean": clean,
            "report": report,
        }
        changes = Changes()
        changes.write("LPUSH", RECONCILIATIONS, body_of(row))
        changes.write("LTRIM", RECONCILIATIONS, 0, REPORTS_KEPT - 1)
        await self._authority.commit(None, changes)

    async def _book(self) -> tuple[list[Position], list[OrderIntent], list[Fill]]:
        positions, intents, fills = await self._authority.run(scripts.BOOK, [POSITIONS])
        return (
            [position_of(body) for body in positions],
            [order_of(body) for body in intents],
            [fill_of(text) for text in fills],
        )

    async def _listed(self, *states: IntentState) -> list[OrderIntent]:
        keys = [key("intents", state) for state in states]
        _, found, _ = await self._authority.run(scripts.LIST, keys)
        kept: list[KeptIntent] = [intent_of(*each) for each in found]
        return [each.intent for each in kept]

    async def _recent(self) -> list[OrderIntent]:
        oldest = micros(await self._authority.now() - RECENT)
        names = await self._authority.call("ZRANGEBYSCORE", INTENTS, oldest, "+inf")
        return await self._intents([name.decode() for name in names])

    async def _intents(self, names: Sequence[str]) -> list[OrderIntent]:
        unique = list(dict.fromkeys(names))
        found = await self._authority.run(scripts.STORIES, [], json.dumps(unique)) if unique else ()
        kept = (intent_of(name, fields) for name, fields, _, _ in found)
        return [each.intent for each in kept if each is not None]


def _symbols(intents: Sequence[OrderIntent], broker: str, account: str) -> set[str]:
    orders = (intent.order for intent in intents)
    return {o.symbol for o in orders if (o.broker, o.account) == (broker, account)}


def _known(intent: OrderIntent) -> KnownOrder:
    return KnownOrder(
        client_order_id=ClientOrderId(intent.client_order_id),
        attempt=intent.attempt,
        state=intent.state,
        symbol=intent.order.symbol,
        quantity=intent.order.quantity,
        filled_quantity=intent.filled_quantity,
        broker_order_id=intent.broker_order_id,
    )
