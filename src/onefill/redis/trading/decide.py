"""Stage one on Redis: undecided signals become states and intents, in one commit (ORD-2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from onefill.core.book import Account, ChaseStep, Situation
from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.keeping.apart import RowsRefused
from onefill.keeping.planning import Plan, Policy, plan_lane
from onefill.redis.authority import Changes, RedisAuthority, Stale
from onefill.redis.documents import KeptLane, Snapshot, body_of, micros
from onefill.redis.keys import key
from onefill.redis.trading.books import (
    Teller,
    add_intent,
    change_intent,
    change_positions,
    expect_lane,
    expect_switch,
    missing_signals,
    tell_signals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a group of decisions needs beside its rules. live: `broker/account` of real money."""

    instance: str
    epoch: int | None
    initial_capital: Decimal
    live: Sequence[str]
    signals_a_lane: int


async def decide_group(
    authority: RedisAuthority, lanes: Sequence[Lane], policy: Policy, desk: Desk
) -> tuple[Plan, Changes]:
    """Look and decide: what came of it, and what is to be committed.

    Raises Stale, RowsRefused when the books don't allow what the rules decided.
    """
    seen = await authority.look(lanes=lanes, turn=desk.signals_a_lane)
    plan = Plan.of([position for position in seen.positions.values() if position.is_live])
    for lane in sorted(seen.lanes):
        _plan_lane(plan, seen, seen.lanes[lane], policy, desk)
    touched = await authority.look(names=plan.intents, signals=missing_signals(seen, plan.news))
    _withdraw_own(plan)
    again = [name for name in plan.intents if name in touched.intents]
    if again:
        raise RowsRefused("An action is decided once.", intents=", ".join(again))
    return plan, _changes(plan, replace(seen, signals=touched.signals), desk)


def _plan_lane(plan: Plan, seen: Snapshot, lane: KeptLane, policy: Policy, desk: Desk) -> None:
    portfolio = lane.lane.partition("/")[0]
    intents = [kept.intent for kept in seen.intents.values() if kept.intent.lane == lane.lane]
    situation = Situation(
        now=seen.now,
        lane=lane.lane,
        account=Account(portfolio=portfolio, initial_capital=desk.initial_capital),
        positions=tuple(p for p in plan.positions.values() if p.is_live and p.lane == lane.lane),
        intents=tuple(intent for intent in intents if intent.is_live),
        blocked=lane.blocked,
        paused=seen.paused,
        exits_paused=seen.exits_paused,
        last_decided=lane.last_decided,
        marks=lane.marks,
    )
    rows = [asdict(undecided) for undecided in lane.undecided]
    plan_lane(plan, situation, rows, policy, limit=desk.signals_a_lane)


def _withdraw_own(plan: Plan) -> None:
    """Intents of this very group that were overtaken in it are written as withdrawn."""
    for name in [name for name in plan.withdrawn if name in plan.intents]:
        reason = plan.withdrawn.pop(name)
        plan.intents[name] = replace(plan.intents[name], state=IntentState.EXPIRED, reason=reason)


def _changes(plan: Plan, seen: Snapshot, desk: Desk) -> Changes:
    changes = Changes()
    teller = Teller(instance=desk.instance, epoch=desk.epoch, now=seen.now)
    places = {u.id: u.place for lane in seen.lanes.values() for u in lane.undecided}
    change_positions(changes, seen, plan.position_changes)
    tell_signals(changes, seen, plan.news, teller, places=places)
    for name, reason in plan.withdrawn.items():
        _withdraw(changes, seen, name, reason)
    for intent in plan.intents.values():
        add_intent(changes, intent, _venue(intent, desk.live), seen.now)
    for step in plan.chased:
        _step_on(changes, seen, step)
    for lane, last, marks in plan.lanes:
        fields = {"last_decided": None if last is None else micros(last), "marks": body_of(marks)}
        changes.set_fields(key("lane", lane), fields)
    if changes.writes:
        for lane in seen.lanes:
            expect_lane(changes, seen, lane)
        expect_switch(changes, seen)
    return changes


def _withdraw(changes: Changes, seen: Snapshot, name: ClientOrderId, reason: str) -> None:
    kept = seen.intents.get(name)
    if kept is None or kept.intent.state is not IntentState.NEW:
        raise Stale("An intent that was to be withdrawn is being sent already.", intent=name)
    ended = replace(kept.intent, state=IntentState.EXPIRED, reason=reason)
    change_intent(changes, kept, ended, seen.now)


def _step_on(changes: Changes, seen: Snapshot, step: ChaseStep) -> None:
    kept = seen.intents[step.client_order_id]
    chase = kept.intent.chase
    if chase is not None:
        stepped = replace(kept.intent, chase=replace(chase, step=step.step))
        change_intent(changes, kept, stepped, seen.now)


def _venue(intent: OrderIntent, live: Sequence[str]) -> str:
    return "live" if f"{intent.order.broker}/{intent.order.account}" in live else "paper"
