"""What was traded by hand, on Redis: one commit for all of it (ORD-9)."""

from __future__ import annotations

from dataclasses import replace

from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, Correction, adjust
from onefill.core.orders.settlement import settle
from onefill.core.position import Position
from onefill.ports.trading import Settled
from onefill.redis import scripts
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import KeptIntent, micros, position_of
from onefill.redis.keys import POSITIONS, key
from onefill.redis.trading.books import add_intent
from onefill.redis.trading.settle import settle_seen


async def adjust_positions(
    authority: RedisAuthority, wanted: Adjustment, by: str
) -> tuple[Settled | AdjustmentRefusal, Changes]:
    """What came of it, or why not; to be committed."""
    bodies, _, _ = await authority.run(scripts.BOOK, [POSITIONS])
    lanes = {p.lane for p in map(position_of, bodies) if _is_meant(p, wanted)}
    seen = await authority.look(lanes=lanes)
    live = [kept.intent for kept in seen.intents.values() if kept.intent.is_live]
    mine = [position for position in seen.positions.values() if position.is_live]
    corrections = adjust(wanted, mine, live)
    if isinstance(corrections, AdjustmentRefusal):
        return corrections, Changes()
    changes = Changes()
    made = {}
    for each in corrections:
        add_intent(changes, each.intent, await _venue(authority, each), seen.now)
        made[each.intent.client_order_id] = KeptIntent(
            intent=each.intent,
            made_us=micros(seen.now),
            changed_us=micros(seen.now),
            instance=None,
            boot=None,
            acknowledged=False,
        )
    numbers = [number for held in wanted.holdings for number in held.orders]
    if numbers:
        changes.write("SADD", key("accepted", f"{wanted.broker}/{wanted.account}"), *numbers)
    with_them = replace(seen, intents={**seen.intents, **made})
    told = [each.told for each in corrections]
    settled = await settle_seen(authority, with_them, told, settle, by, changes=changes)
    return settled, changes


def _is_meant(position: Position, wanted: Adjustment) -> bool:
    symbols = {held.symbol for held in wanted.holdings}
    here = (wanted.broker, wanted.account)
    return any((leg.broker, leg.account) == here and leg.symbol in symbols for leg in position.legs)


async def _venue(authority: RedisAuthority, correction: Correction) -> str:
    """Paper or live, as the position's other orders are."""
    members = key("position", correction.intent.source, "intents")
    name = (await authority.call("SRANDMEMBER", members)).decode()
    venue: bytes = await authority.call("HGET", key("intent", name), "venue")
    return venue.decode()
