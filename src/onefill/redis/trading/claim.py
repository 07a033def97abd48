"""Stage two on Redis: NEW becomes SENDING, once. Only who wins this may send (ORD-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import ACCOMPLISHED, Chase, IntentEvent, IntentState, OrderIntent, step
from onefill.core.orders.settlement import LaneBooks, settle
from onefill.core.refusal import Refusal
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.ports.lease import Holder
from onefill.ports.trading import Claim
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import Snapshot, body_of
from onefill.redis.keys import key
from onefill.redis.trading.books import (
    Teller,
    change_intent,
    change_positions,
    expect_lane,
    expect_switch,
    missing_signals,
    tell_signals,
)
from onefill.redis.trading.rates import Account, account_of, count_claims

CLAIMED, TAKEN, EXPIRED, PAUSED, WAITING = "claimed", "taken", "expired", "paused", "waiting"
THROTTLED = "throttled"

Verdicts = dict[ClientOrderId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """What came of orders that are too old."""

    intents: Mapping[ClientOrderId, OrderIntent]
    positions: Sequence[PositionChange]
    news: Sequence[SignalNews]


async def claim_group(
    authority: RedisAuthority, claims: Sequence[Claim], me: Holder, epoch: int | None
) -> tuple[Verdicts, Changes]:
    """The verdict on each claim, and what is to be committed before any of them counts."""
    seen = await authority.look(names=[claim.client_order_id for claim in claims])
    verdicts = {claim.client_order_id: _verdict(claim, seen) for claim in claims}
    ended = _end(seen, [name for name, verdict in verdicts.items() if verdict == EXPIRED])
    accounts = await _throttle(authority, claims, seen, verdicts)
    wanted = [claim for claim in claims if verdicts[claim.client_order_id] == CLAIMED]
    for claim in [claim for claim in wanted if claim.client_order_id in ended.intents]:
        verdicts[claim.client_order_id] = TAKEN
        wanted.remove(claim)
    going = {seen.intents[claim.client_order_id].intent.signal_id for claim in wanted}
    news = [SignalNews(each, SignalStatus.EXECUTING) for each in going if each is not None]
    news += ended.news
    told = await authority.look(signals=missing_signals(seen, news))
    seen = replace(seen, signals=told.signals)
    changes = Changes()
    teller = Teller(instance=me.instance, epoch=epoch, now=seen.now)
    for claim in wanted:
        _take(changes, seen, claim, me, epoch)
    count_claims(changes, wanted, accounts, seen)
    for name, intent in ended.intents.items():
        change_intent(changes, seen.intents[name], intent, seen.now)
    change_positions(changes, seen, ended.positions)
    tell_signals(changes, seen, news, teller)
    touched = [*(claim.client_order_id for claim in wanted), *ended.intents]
    for lane in sorted({seen.intents[name].intent.lane for name in touched}):
        expect_lane(changes, seen, lane)
    if changes.writes:
        expect_switch(changes, seen)
    return verdicts, changes


async def _throttle(
    authority: RedisAuthority, claims: Sequence[Claim], seen: Snapshot, verdicts: Verdicts
) -> dict[str, Account]:
    """Hold back what the broker takes no more of now; it stays NEW, and is asked again (ORD-11)."""
    accounts = {}
    for name, windows in {c.account: c.order_rates for c in claims if c.order_rates}.items():
        accounts[name] = await account_of(authority, name, windows)
        theirs = (claim.client_order_id for claim in claims if claim.account == name)
        due = [each for each in theirs if verdicts[each] == CLAIMED]
        admitted = accounts[name].room.admitted(
            [seen.intents[each].intent.adds_exposure for each in due]
        )
        for each, goes in zip(due, admitted, strict=True):
            if not goes:
                verdicts[each] = THROTTLED
    return accounts


def is_mine(seen: Snapshot, claim: Claim, me: Holder) -> bool:
    """Whether this very process has made this attempt, with these very bytes."""
    kept = seen.intents.get(claim.client_order_id)
    return kept is not None and kept.attempts.get(str(claim.attempt)) == _attempt(claim, me)


def _verdict(claim: Claim, seen: Snapshot) -> str:
    kept = seen.intents.get(claim.client_order_id)
    before = (IntentState.SENDING, IntentState.IN_DOUBT) if claim.resend else (IntentState.NEW,)
    if kept is None or kept.intent.state not in before:
        return TAKEN
    intent = kept.intent
    # The quantity too: of an order's remainder it shrinks until that order's end is confirmed.
    if intent.attempt != claim.attempt - 1 or intent.order.quantity != claim.quantity:
        return TAKEN
    if intent.valid_until is not None and intent.valid_until < seen.now:
        # What may be at the broker already can't expire: it can only be found, or be a person's.
        return WAITING if claim.resend else EXPIRED
    if seen.paused if intent.adds_exposure else seen.exits_paused:
        return PAUSED
    if not _is_ready(intent, seen) or (intent.adds_exposure and _waits(claim, intent, seen)):
        return WAITING
    return CLAIMED


def _is_ready(intent: OrderIntent, seen: Snapshot) -> bool:
    before = seen.intents.get(intent.after) if intent.after is not None else None
    return intent.after is None or (before is not None and before.intent.state in ACCOMPLISHED)


def _waits(claim: Claim, intent: OrderIntent, seen: Snapshot) -> bool:
    """New exposure waits while its lane is blocked, or has another action in doubt (ORD-8). What is
    sent again is not new: two in doubt in one lane would wait for each other."""
    if seen.lanes[intent.lane].blocked is not None:
        return True
    others = (kept.intent for kept in seen.intents.values())
    return not claim.resend and any(
        other.lane == intent.lane
        and other.source != intent.source
        and other.is_unresolved(seen.now)
        for other in others
    )


def _take(changes: Changes, seen: Snapshot, claim: Claim, me: Holder, epoch: int | None) -> None:
    kept = seen.intents[claim.client_order_id]
    state, _ = step(kept.intent.state, IntentEvent.CLAIMED)
    sending = replace(
        kept.intent,
        order=replace(kept.intent.order, order_type=claim.order_type, price=claim.price),
        chase=_chase(claim, seen.now),
        state=state,
        attempt=claim.attempt,
        signed_at=claim.signed_at,
        expires_at=claim.expires_at,
        send_by=seen.now + timedelta(milliseconds=claim.send_within_ms),
        witnessed=claim.witnessed,
    )
    change_intent(
        changes, kept, sending, seen.now, instance=me.instance, boot=str(me.boot), epoch=epoch
    )
    attempts = key("intent", claim.client_order_id, "attempts")
    changes.write("HSET", attempts, claim.attempt, _attempt(claim, me))
    facts = {"epoch": epoch, "claimed_at": seen.now, "send_by": sending.send_by}
    changes.write("HSET", attempts, f"{claim.attempt}:claimed", body_of(facts))


def _chase(claim: Claim, now: datetime) -> Chase | None:
    """Where an order that follows its price begins."""
    if claim.chase is None:
        return None
    return Chase(
        first_price=claim.price,
        since=now,
        steps_max=claim.chase.steps_max,
        round=claim.chase.round,
    )


def _attempt(claim: Claim, me: Holder) -> str:
    facts = {
        "instance": me.instance,
        "boot": me.boot,
        "signed_at": claim.signed_at,
        "expires_at": claim.expires_at,
        "hash": claim.request_hash.hex(),
    }
    return body_of(facts)


def _end(seen: Snapshot, late: Sequence[ClientOrderId]) -> _Ended:
    """End what is too old; and, by the rules, what waited for it and what was to come of it."""
    intents = {name: kept.intent for name, kept in seen.intents.items()}
    for name in late:
        state, _ = step(intents[name].state, IntentEvent.WITHDRAWN)
        intents[name] = replace(intents[name], state=state, reason=Refusal.TOO_OLD.code)
    positions: list[PositionChange] = []
    news: list[SignalNews] = []
    for lane in sorted({intents[name].lane for name in late}):
        settlement = settle(_books(seen, intents, lane), ())
        intents.update((intent.client_order_id, intent) for intent in settlement.intents)
        positions += [PositionChange(seen.positions[p.id], p) for p in settlement.positions]
        news += [SignalNews(*change) for change in settlement.signals]
    changed = {n: intent for n, intent in intents.items() if intent != seen.intents[n].intent}
    return _Ended(intents=changed, positions=positions, news=news)


def _books(seen: Snapshot, intents: Mapping[ClientOrderId, OrderIntent], lane: Lane) -> LaneBooks:
    return LaneBooks(
        now=seen.now,
        intents=tuple(intent for intent in intents.values() if intent.lane == lane),
        positions=tuple(p for p in seen.positions.values() if p.lane == lane),
    )
