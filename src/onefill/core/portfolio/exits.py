"""Exits of the portfolio engine: a slot, or all of an instrument. Source: PF-12, ORD-8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onefill.core.admission import opening_after
from onefill.core.book import Decision, SignalChange, Situation, joined, refuse
from onefill.core.instrument import Rules
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.issue import BUILDING, STOP
from onefill.core.money import figures
from onefill.core.orders.closing import begin_closing, continue_exits
from onefill.core.orders.standing import PARTLY_FILLED, told_to_wait
from onefill.core.position import Position, PositionStatus, Rollover
from onefill.core.refusal import Refusal
from onefill.core.signal import ALL_SLOTS, LoggedSignal, SignalStatus

__all__ = ["close", "continue_exits", "leave"]


def leave(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """Decide an EXIT: it neither expires nor waits, and no pause or block stops it.

    Opening orders not sent yet are withdrawn; what is confirmed is sold now, and what is
    confirmed later then. A position of which nothing was ever sent ends at once.
    """
    signal = logged.signal
    here = [p for p in situation.here if signal.position in (ALL_SLOTS, p.slot)]
    asked = [position for position in here if position.status is not PositionStatus.CLOSING]
    rolling = tuple(position for position in here if position.is_rolling)
    if rolling:
        stopped = _stop_rolling(rolling, logged, situation)
        rest = close(asked, situation, rules, signal_id=logged.id, reason=signal.reason)
        left = joined(stopped, rest)
        at_work = any(position.is_live for position in left.positions)
        return replace(left, status=SignalStatus.DECIDED if at_work else SignalStatus.EXECUTED)
    if not asked:
        return refuse(Refusal.ALREADY_CLOSING if here else Refusal.NOTHING_TO_CLOSE)
    return close(asked, situation, rules, signal_id=logged.id, reason=signal.reason)


def _stop_rolling(
    rolling: Sequence[Position], logged: LoggedSignal, situation: Situation
) -> Decision:
    """What is being closed to be opened again is not opened again (PF-24)."""
    positions = []
    for position in rolling:
        leaving = replace(
            position,
            rollover=Rollover.FAILED,
            exit_signal_id=logged.id,
            reason=logged.signal.reason,
        )
        positions.append(_ended_if_untouched(leaving, situation.intents, situation))
    return Decision(status=SignalStatus.DECIDED, positions=tuple(positions))


def close(
    asked: Sequence[Position],
    situation: Situation,
    rules: Rules,
    *,
    signal_id: int | None,
    reason: str | None,
) -> Decision:
    """Close these positions of the lane, for that reason; signal_id: who asked for it, if one did.

    EXECUTED when nothing has to be sent, DECIDED else.
    """
    withdrawn = [intent for intent in situation.intents if _is_unsent_opening(intent, asked)]
    names = frozenset(intent.client_order_id for intent in withdrawn)
    live = [intent for intent in situation.intents if intent.client_order_id not in names]
    positions: list[Position] = []
    intents: list[OrderIntent] = []
    for position in asked:
        left, issued = begin_closing(
            position, live, situation, rules, signal_id=signal_id, reason=reason
        )
        positions.append(_ended_if_untouched(left, live, situation))
        intents += issued
    opens = opening_after(asked[0].instrument, situation, rules) if asked else None
    waiting = figures(waits_for_open=opens.isoformat()) if opens is not None else {}
    at_work = any(position.is_live for position in positions)
    held = (position for position in positions if not position.is_flat)
    return Decision(
        status=SignalStatus.DECIDED if at_work else SignalStatus.EXECUTED,
        alarms=tuple(told_to_wait(each, opens) for each in held) if opens is not None else (),
        numbers=figures(positions=len(positions), orders=len(intents)) | waiting,
        positions=tuple(positions),
        intents=tuple(intents),
        withdraw=tuple(names),
        signals=_ended_entries(withdrawn, live, positions),
    )


def _ended_if_untouched(
    position: Position, live: Sequence[OrderIntent], situation: Situation
) -> Position:
    if position.is_flat and not any(intent.position_id == position.id for intent in live):
        return replace(position, status=PositionStatus.CLOSED, closed_at=situation.now)
    return position


def _is_unsent_opening(intent: OrderIntent, positions: Sequence[Position]) -> bool:
    mine = any(position.id == intent.position_id for position in positions)
    opens = intent.action in BUILDING or intent.action == STOP
    return mine and opens and intent.verb is Verb.PLACE and intent.state is IntentState.NEW


def _ended_entries(
    withdrawn: Sequence[OrderIntent], live: Sequence[OrderIntent], positions: Sequence[Position]
) -> tuple[SignalChange, ...]:
    """The entries of which nothing more can come: no later settlement would end them.

    Those that this exit overtook before anything of theirs was sent, and those of which one leg
    was filled before the other one was sent.
    """
    held = {position.id for position in positions if position.is_live}
    going = {intent.signal_id for intent in live}
    ended = {
        intent.signal_id: intent.position_id in held
        for intent in withdrawn
        if intent.signal_id is not None and intent.signal_id not in going
    }
    return tuple(_ended_entry(signal_id, ended[signal_id]) for signal_id in sorted(ended))


def _ended_entry(signal_id: int, is_held: bool) -> SignalChange:
    if is_held:
        return SignalChange(signal_id=signal_id, status=SignalStatus.EXECUTED, reason=PARTLY_FILLED)
    return SignalChange(
        signal_id=signal_id, status=SignalStatus.IGNORED, reason=Refusal.OVERTAKEN.code
    )
