"""What people settle, on Redis: quarantined orders and blocked lanes; each to be committed."""

from __future__ import annotations

from onefill.core.errors import invariant
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.ruling import (
    PlacedAgain,
    Ruling,
    RulingRefusal,
    Surroundings,
    place_again,
    refusal_of_ruling,
    word_of,
)
from onefill.core.orders.settlement import settle
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.ports.views import Unblocked
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import Snapshot
from onefill.redis.keys import BLOCKED, key
from onefill.redis.trading.books import (
    Teller,
    add_intent,
    change_positions,
    expect_lane,
    expect_switch,
    tell_signals,
)
from onefill.redis.trading.settle import settle_group
from onefill.redis.trading.worklists import nameless

_NAMELESS_MAX = 4096


async def rule(
    authority: RedisAuthority, name: ClientOrderId, ruling: Ruling, by: str
) -> tuple[RulingRefusal | None, Changes]:
    """Settle a quarantined order by a person's verdict; why not, or None."""
    seen = await authority.look(names=[name])
    kept = seen.intents.get(name)
    if kept is None:
        return RulingRefusal.UNKNOWN_ORDER, Changes()
    sent = await nameless(authority, _NAMELESS_MAX)
    refusal = refusal_of_ruling(kept.intent, ruling, sent)
    if refusal is None and await _is_anothers(authority, kept.intent, ruling.broker_order_id):
        refusal = RulingRefusal.ANOTHERS_ORDER
    if refusal is not None:
        return refusal, Changes()
    _, changes = await settle_group(authority, [word_of(kept.intent, ruling)], settle, by)
    changes.versions[key("lane", kept.intent.lane)] = str(seen.lanes[kept.intent.lane].version)
    return None, changes


async def repeat(
    authority: RedisAuthority, name: ClientOrderId, by: str
) -> tuple[ClientOrderId | RulingRefusal, Changes]:
    """Place an order again that a person ruled out; the new order's id, or why not."""
    seen = await authority.look(names=[name])
    if name not in seen.intents:
        return RulingRefusal.UNKNOWN_ORDER, Changes()
    order = seen.intents[name].intent
    kin = (kept.intent for kept in seen.intents.values())
    around = Surroundings(
        now=seen.now,
        siblings=[intent for intent in kin if intent.source == order.source],
        positions=list(seen.positions.values()),
        paused=seen.paused,
        blocked=seen.lanes[order.lane].blocked,
    )
    placed = place_again(order, around)
    if isinstance(placed, RulingRefusal):
        return placed, Changes()
    return placed.intent.client_order_id, await _placed(authority, seen, order, placed, by)


async def acknowledge(
    authority: RedisAuthority, name: ClientOrderId, by: str
) -> tuple[RulingRefusal | None, Changes]:
    """Note that a person knows of a quarantined order; again changes nothing."""
    seen = await authority.look(names=[name])
    changes, kept = Changes(), seen.intents.get(name)
    if kept is None:
        return RulingRefusal.UNKNOWN_ORDER, changes
    if kept.intent.state is not IntentState.QUARANTINED:
        return RulingRefusal.NOT_QUARANTINED, changes
    if not kept.acknowledged:
        expect_lane(changes, seen, kept.intent.lane)
        changes.set_fields(key("intent", name), {"acknowledged": by})
    return None, changes


async def unblock(authority: RedisAuthority, lane: str) -> tuple[Unblocked | None, Changes]:
    """Let a lane take new exposure again. None: there is no such lane."""
    seen = await authority.look(lanes=[lane])
    changes, found = Changes(), seen.lanes[Lane(lane)]
    if found.version == 0:
        return None, changes
    expect_lane(changes, seen, found.lane)
    changes.set_fields(key("lane", lane), {"blocked": None, "blocked_at": None})
    changes.write("SREM", BLOCKED, lane)
    return Unblocked(lane=lane, was=found.blocked), changes


async def _is_anothers(
    authority: RedisAuthority, order: OrderIntent, broker_order_id: str | None
) -> bool:
    if not broker_order_id:
        return False
    owner = await authority.call("HGET", key("orders", order.order.broker), broker_order_id)
    return owner is not None and owner.decode() != order.client_order_id


async def _placed(
    authority: RedisAuthority,
    seen: Snapshot,
    order: OrderIntent,
    placed: PlacedAgain,
    by: str,
) -> Changes:
    changes = Changes()
    venue = await authority.call("HGET", key("intent", order.client_order_id), "venue")
    add_intent(changes, placed.intent, venue.decode(), seen.now)
    if placed.position is not None:
        old = seen.positions[placed.position.id]
        invariant(not old.is_live, "only what is over is reopened", position=old.id)
        change_positions(changes, seen, [PositionChange(old, placed.position)])
    if order.signal_id is not None:
        told = await authority.look(signals=[order.signal_id])
        news = SignalNews(order.signal_id, SignalStatus.DECIDED, "placed_again")
        teller = Teller(instance=by, epoch=None, now=seen.now)
        tell_signals(changes, told, [news], teller, reopen=True)
    expect_lane(changes, seen, order.lane)
    expect_switch(changes, seen)
    return changes
