"""Setting apart what a store refuses, so that the rest of a group is written all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from onefill.core.book import Decision, Situation
from onefill.core.errors import Bug, OnefillError
from onefill.core.ids import Lane
from onefill.core.orders.settlement import LaneBooks, Settlement, Told
from onefill.core.signal import LoggedSignal
from onefill.keeping.planning import Policy
from onefill.ports.trading import Decided, Settle, Settled


class RowsRefused(OnefillError):
    """The database refuses these very rows; nothing of the statement was written."""

    remedy = "Write the others without the one that is at fault."


DecideOnce = Callable[[Sequence[Lane], Policy, int], Awaitable[Decided]]
"""Decides so many signals of each lane in one commit. Raises RowsRefused."""
SettleOnce = Callable[[Sequence[Told], Settle], Awaitable[Settled]]
"""Settles in one commit. Raises RowsRefused."""


async def decide_apart(
    once: DecideOnce, lanes: Sequence[Lane], policy: Policy, limit: int
) -> Decided:
    """Decide; split the group when it is refused, until the signal at fault is alone and fails."""
    try:
        return await once(lanes, policy, limit)
    except RowsRefused as refused:
        if len(lanes) == 1 and limit == 1:
            return await once(lanes, _refusing(policy, refused), limit)
    if len(lanes) == 1:
        part = await decide_apart(once, lanes, policy, 1)
        return replace(part, waiting=(), again=tuple(lanes))
    return _all_decided([await decide_apart(once, [lane], policy, limit) for lane in lanes])


async def settle_apart(once: SettleOnce, told: Sequence[Told], settle: Settle) -> Settled:
    """Settle; when the group is refused, each order's words alone. Where even that is refused,
    they are kept, and the lane is blocked."""
    try:
        return await once(told, settle)
    except RowsRefused:
        parts = []
    for name in sorted({word.client_order_id for word in told}):
        words = [word for word in told if word.client_order_id == name]
        try:
            parts.append(await once(words, settle))
        except RowsRefused as refused:
            parts.append(await once(words, _unsettling(refused)))
    return Settled(
        intents=tuple(i for part in parts for i in part.intents),
        signals=tuple(s for part in parts for s in part.signals),
        lanes=tuple(dict.fromkeys(lane for part in parts for lane in part.lanes)),
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
    )


def _all_decided(parts: Sequence[Decided]) -> Decided:
    return Decided(
        intents=tuple(i for part in parts for i in part.intents),
        ended=tuple(e for part in parts for e in part.ended),
        waiting=tuple(lane for part in parts for lane in part.waiting),
        again=tuple(lane for part in parts for lane in part.again),
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
    )


def _refusing(policy: Policy, refused: RowsRefused) -> Policy:
    """The same, but what would be written fails its signal, for what the database said."""

    def decide(logged: LoggedSignal, situation: Situation) -> Decision:
        decision = policy.decide(logged, situation)
        if not decision.wait:
            raise Bug(f"the database refuses the decision: {refused}")
        return decision

    return Policy(read=policy.read, decide=decide, exits=lambda situation: None)


def _unsettling(refused: RowsRefused) -> Settle:
    """Rules that settle nothing, for what the database said."""

    def settle(books: LaneBooks, told: Sequence[Told]) -> Settlement:
        raise Bug(f"the database refuses the settlement: {refused}")

    return settle
