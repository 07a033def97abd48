"""Stage three on Redis: what brokers said becomes fills, positions, and the ends of signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onefill.core.ids import Lane
from onefill.core.orders.settlement import Told
from onefill.keeping.evidence import words_of
from onefill.keeping.settling import LaneDesk, Outcome, note_strangers, settle_lane
from onefill.ports.trading import Settle, Settled
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import Snapshot
from onefill.redis.trading.books import (
    Teller,
    add_fills,
    block,
    change_intent,
    change_positions,
    expect_lane,
    keep_words,
    missing_signals,
    tell_signals,
)


async def settle_group(
    authority: RedisAuthority, told: Sequence[Told], settle: Settle, instance: str
) -> tuple[Settled, Changes]:
    """Look and settle: what came of it, and what is to be committed.

    A lane whose rules break is blocked, its words are kept. Raises RowsRefused.
    """
    seen = await authority.look(names=sorted({word.client_order_id for word in told}))
    changes = Changes()
    settled = await settle_seen(authority, seen, told, settle, instance, changes=changes)
    return settled, changes


async def settle_seen(
    authority: RedisAuthority,
    seen: Snapshot,
    told: Sequence[Told],
    settle: Settle,
    instance: str,
    *,
    changes: Changes,
) -> Settled:
    """Settle what was looked at already, and add to the changes. Raises RowsRefused."""
    names = sorted({word.client_order_id for word in told})
    desks = _desks(seen, told)
    outcome = Outcome()
    note_strangers(outcome, desks, names)
    for lane, desk in desks.items():
        settle_lane(outcome, lane, desk, settle)
    signals = (await authority.look(signals=missing_signals(seen, outcome.news))).signals
    seen = replace(seen, signals=signals)
    teller = Teller(instance=instance, epoch=None, now=seen.now)
    moved = tell_signals(changes, seen, outcome.news, teller, reopen=True)
    _write(changes, seen, outcome, told)
    return Settled(
        intents=tuple(outcome.intents.values()),
        signals=tuple(moved),
        lanes=tuple(desks),
        alarms=tuple(outcome.alarms),
    )


def _desks(seen: Snapshot, told: Sequence[Told]) -> dict[Lane, LaneDesk]:
    desks = {lane: LaneDesk(seen.now) for lane in sorted(seen.lanes)}
    for kept in seen.intents.values():
        if kept.intent.lane in desks:
            desks[kept.intent.lane].intents.append(kept.intent)
    for position in seen.positions.values():
        if position.lane in desks:
            desks[position.lane].positions.append(position)
    for word in told:
        if word.client_order_id in seen.intents:
            desks[seen.intents[word.client_order_id].intent.lane].told.append(word)
    return desks


def _write(changes: Changes, seen: Snapshot, outcome: Outcome, told: Sequence[Told]) -> None:
    for name, intent in outcome.intents.items():
        change_intent(changes, seen.intents[name], intent, seen.now)
    change_positions(changes, seen, outcome.positions)
    add_fills(changes, outcome.fills, seen.now)
    keep_words(changes, seen, words_of(told), seen.now)
    for lane, reason in outcome.blocks.items():
        block(changes, seen, lane, reason, seen.now)
    if changes.writes:
        for lane in seen.lanes:
            expect_lane(changes, seen, lane)
