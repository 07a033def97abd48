"""What is to be done: each list is one sorted set of intents in one state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import ACCOMPLISHED, IntentState, OrderIntent, Verb
from onefill.ports.doubts import Waiting
from onefill.ports.lease import Holder
from onefill.redis import scripts
from onefill.redis.authority import RedisAuthority
from onefill.redis.documents import KeptIntent, intent_of, micros, moment_of, time_of
from onefill.redis.keys import EXITS, UNDECIDED, key

S = IntentState
LINGERS = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """The intents of some lists, oldest first, and those that they wait for."""

    now: datetime
    intents: list[KeptIntent]
    before: dict[ClientOrderId, OrderIntent]


async def lanes_with_work(authority: RedisAuthority, limit: int) -> Sequence[Lane]:
    """Lanes with undecided signals, or with an exit or a repair that is due."""
    due, undecided = await authority.run(scripts.LANES, [UNDECIDED, EXITS], limit)
    lanes = [place.decode().partition("\n")[0] for place in due]
    lanes += [lane.decode() for lane in undecided]
    return [Lane(lane) for lane in dict.fromkeys(lanes)][:limit]


async def claimable(authority: RedisAuthority, limit: int, aged_ms: int) -> Sequence[OrderIntent]:
    """What may be claimed: what reduces a position first, then the oldest."""
    found = await _in(authority, S.NEW)
    latest = micros(found.now) - aged_ms * 1000

    def is_ready(kept: KeptIntent) -> bool:
        after = kept.intent.after
        may_go = after is None or found.before[after].state in ACCOMPLISHED
        return may_go and kept.made_us <= latest

    ready = filter(is_ready, found.intents)
    return _intents(sorted(ready, key=lambda kept: kept.intent.adds_exposure), limit)


async def unresolved(authority: RedisAuthority, me: Holder, limit: int) -> Sequence[OrderIntent]:
    """What must be looked up."""
    found = await _in(authority, S.IN_DOUBT, S.SENDING)

    def is_open(kept: KeptIntent) -> bool:
        is_an_earlier_boots = kept.instance == me.instance and kept.boot != str(me.boot)
        return kept.intent.is_unresolved(found.now) or is_an_earlier_boots

    return _intents(filter(is_open, found.intents), limit)


async def working(
    authority: RedisAuthority, limit: int, sender: str | None
) -> Sequence[OrderIntent]:
    """What is at a broker, and may fill; a sender's own, or everybody's."""
    found = await _in(authority, S.ACKED, S.PARTIALLY_FILLED)
    return _intents((k for k in found.intents if sender in (None, k.instance)), limit)


async def chased(authority: RedisAuthority, limit: int) -> Sequence[OrderIntent]:
    """What is at a broker and follows its price."""
    found = await _in(authority, S.ACKED, S.PARTIALLY_FILLED)
    return _intents((k for k in found.intents if k.intent.chase is not None), limit)


async def nameless(authority: RedisAuthority, limit: int) -> Sequence[OrderIntent]:
    """What was sent, or may have been, and which order it is at the broker is not known."""
    found = await _in(authority, S.SENDING, S.IN_DOUBT, S.QUARANTINED)
    places = (k for k in found.intents if k.intent.verb is Verb.PLACE)
    return _intents((k for k in places if k.intent.broker_order_id is None), limit)


async def lingering(authority: RedisAuthority, limit: int) -> Sequence[OrderIntent]:
    """What late evidence may still be found for."""
    found = await _in(authority, S.QUARANTINED, S.NOT_PLACED)
    oldest = micros(found.now - LINGERS)

    def may_come(kept: KeptIntent) -> bool:
        return kept.intent.state is S.QUARANTINED or kept.changed_us > oldest

    return _intents(filter(may_come, found.intents), limit)


async def unacknowledged(authority: RedisAuthority, limit: int) -> Sequence[Waiting]:
    """What a person must hear of."""
    found = await _in(authority, S.QUARANTINED)
    return [
        Waiting(
            client_order_id=kept.intent.client_order_id,
            lane=kept.intent.lane,
            since=moment_of(kept.changed_us),
            now=found.now,
            reason=kept.intent.reason or "",
        )
        for kept in found.intents
        if not kept.acknowledged
    ][:limit]


async def named(authority: RedisAuthority, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
    """The orders of these ids."""
    if not names:
        return ()
    found = await authority.run(scripts.STORIES, [], json.dumps(list(names)))
    kept = [intent_of(name, fields) for name, fields, _, _ in found if fields]
    return [each.intent for each in kept if each.intent.verb is Verb.PLACE]


async def count_doubted(authority: RedisAuthority) -> tuple[int, int]:
    """How many orders are in doubt, and how many of them only a person can settle besides."""
    found = await _in(authority, S.IN_DOUBT, S.SENDING, S.QUARANTINED)
    open_ones = [k.intent for k in found.intents if k.intent.is_unresolved(found.now)]
    quarantined = sum(intent.state is S.QUARANTINED for intent in open_ones)
    return len(open_ones) - quarantined, quarantined


async def known_orders(
    authority: RedisAuthority, broker: str, ids: Sequence[str]
) -> Mapping[str, ClientOrderId]:
    """Ours among a broker's orders."""
    if not ids:
        return {}
    found = await authority.call("HMGET", key("orders", broker), *ids)
    pairs = zip(ids, found, strict=True)
    return {number: ClientOrderId(name.decode()) for number, name in pairs if name is not None}


async def _in(authority: RedisAuthority, *states: IntentState) -> _Listed:
    keys = [key("intents", state) for state in states]
    time, intents, before = await authority.run(scripts.LIST, keys)
    kept = [intent_of(*each) for each in intents]
    predecessors = (intent_of(*each).intent for each in before)
    return _Listed(
        now=time_of(time),
        intents=kept,
        before={intent.client_order_id: intent for intent in predecessors},
    )


def _intents(kept: Iterable[KeptIntent], limit: int) -> list[OrderIntent]:
    return [each.intent for each in kept][:limit]
