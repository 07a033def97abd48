"""Where positions and signals stand, given their orders and fills. Source: PF-12, PF-21, SIG-14."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from onefill.core.book import SignalChange
from onefill.core.intent import IntentState, OrderIntent, Side, Verb
from onefill.core.issue import BUILDING, COMPLETE, UNWIND
from onefill.core.money import ZERO, plain
from onefill.core.position import CALL, PUT, Leg, Position, PositionStatus, Rollover
from onefill.core.refusal import Refusal
from onefill.core.signal import NET_SLOT, SignalStatus

UNEQUAL_LEGS = "unequal_legs"
SLOT_CONFLICT = "slot_conflict"
"""Why a lane blocks because of where a position stands."""
REPAIRS_ALONE = 3
"""Rounds of repair after which a half-built position blocks its lane."""
NOT_FILLED = "not_filled"
PARTLY_FILLED = "partly_filled"
"""Reasons of positions and signals whose orders ended short."""
PREDECESSOR = "predecessor_"
"""How the reason of an order begins that was withdrawn because of the one before it."""

_S = PositionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A position as it stands now, whom to tell, and why its lane blocks."""

    position: Position
    alarm: str | None = None
    block: str | None = None


def position_standing(
    position: Position, live: Sequence[OrderIntent], others: Sequence[Position], now: datetime
) -> Standing:
    """The position after its fills. live: its intents that may still fill.

    others: the lane's positions, so that one that comes back to life takes no slot twice.
    """
    priced = replace(position, entry_price=_entry_price(position) or position.entry_price)
    if position.status is _S.CLOSED:
        if position.is_flat:
            return Standing(position=position)
        return _revived(priced, live, others, now)
    if position.slot == NET_SLOT:
        return Standing(position=_net_standing(priced, live, now))
    if position.status is _S.CLOSING:
        done = priced.is_flat and not live and not priced.is_rolling
        return Standing(position=_closed(priced, now) if done else priced)
    return _opening_standing(priced, live, now)


def told_to_wait(position: Position, opens: datetime) -> str:
    """Whom to tell what, when a position can't go on before its market opens (PF-12, PF-21)."""
    is_even = len({abs(leg.net) for leg in position.legs}) == 1
    level = "" if is_even else "CRITICAL "
    return (
        f"{level}{position.lane}: position {position.id} holds {_held(position)} and its market is "
        f"closed: it goes on at {opens:%Y-%m-%d %H:%M %Z}"
    )


def signal_standing(
    signal_id: int,
    intents: Sequence[OrderIntent],
    leaving: Sequence[Position],
    now: datetime,
) -> SignalChange:
    """Where the signal stands. intents: all of its own; leaving: positions that it closes."""
    mine = _counting([intent for intent in intents if intent.signal_id == signal_id])
    doubtful = next((intent for intent in mine if intent.is_unresolved(now)), None)
    if doubtful is not None:
        return SignalChange(
            signal_id=signal_id, status=SignalStatus.IN_DOUBT, reason=doubtful.reason
        )
    if leaving:
        return SignalChange(signal_id=signal_id, status=_exit_status(leaving))
    if any(intent.is_live for intent in mine):
        begun = any(intent.attempt > 0 for intent in mine)
        status = SignalStatus.EXECUTING if begun else SignalStatus.DECIDED
        return SignalChange(signal_id=signal_id, status=status)
    return _ended_signal(signal_id, mine)


def _counting(mine: Sequence[OrderIntent]) -> list[OrderIntent]:
    """Without cancels and changes that are over, and without what was ruled out and placed again:
    the newer order stands for both."""
    in_turn = sorted(mine, key=lambda intent: intent.n)
    newest = {(i.source, i.leg, i.action, i.slice): i.n for i in in_turn}

    def counts(intent: OrderIntent) -> bool:
        if intent.verb is not Verb.PLACE:
            return intent.is_live
        is_newest = intent.n == newest[intent.source, intent.leg, intent.action, intent.slice]
        return is_newest or intent.state is not IntentState.NOT_PLACED

    return [intent for intent in mine if counts(intent)]


def _exit_status(leaving: Sequence[Position]) -> SignalStatus:
    """An exit ends when all that it closes is flat, however many orders that takes."""
    if not any(position.is_live for position in leaving):
        return SignalStatus.EXECUTED
    issued = any(position.exits > 0 for position in leaving)
    return SignalStatus.EXECUTING if issued else SignalStatus.DECIDED


def _ended_signal(signal_id: int, mine: Sequence[OrderIntent]) -> SignalChange:
    if _is_all_done(mine):
        return SignalChange(signal_id=signal_id, status=SignalStatus.EXECUTED)
    if any(intent.filled_quantity > 0 for intent in mine):
        return SignalChange(signal_id=signal_id, status=SignalStatus.EXECUTED, reason=PARTLY_FILLED)
    cause = _cause(mine)
    reason = cause.reason or cause.state.value.lower()
    withdrawn = Refusal.of(reason) if cause.state is IntentState.EXPIRED else None
    status = withdrawn.status if withdrawn is not None else SignalStatus.FAILED
    return SignalChange(signal_id=signal_id, status=status, reason=reason)


def _is_all_done(mine: Sequence[OrderIntent]) -> bool:
    """Whether every leg traded all that was first asked for, be it in several orders."""
    if any(intent.action == UNWIND for intent in mine):
        return False
    asked: dict[tuple[str, int], Decimal] = {}
    for first in mine:
        if first.action != COMPLETE:
            part = (first.leg, first.slice)
            asked[part] = max(first.order.quantity, asked.get(part, ZERO))
    return all(
        sum(i.filled_quantity for i in mine if i.leg == leg)
        >= sum(quantity for (name, _), quantity in asked.items() if name == leg)
        for leg, _ in asked
    )


def _cause(mine: Sequence[OrderIntent]) -> OrderIntent:
    """The order that failed by itself, rather than because of the one before it."""
    own = (intent for intent in mine if not (intent.reason or "").startswith(PREDECESSOR))
    return next(own, mine[0])


def _opening_standing(position: Position, live: Sequence[OrderIntent], now: datetime) -> Standing:
    if all(abs(leg.net) == leg.quantity for leg in position.legs):
        return Standing(position=_opened(position))
    if any(intent.action in BUILDING for intent in live):
        return Standing(position=position)
    if _waits_to_be_reopened(position):
        return Standing(position=position)
    if position.is_flat:
        reason = position.reason if _was_traded(position) else NOT_FILLED
        return _not_opened(replace(_closed(position, now), reason=reason))
    if (lots := _common_lots(position)) is not None:
        return _smaller(position, lots)
    return _unequal(position)


def _waits_to_be_reopened(position: Position) -> bool:
    """A successor of which nothing was sent before its market closed (core/orders/shutting)."""
    is_waiting = position.status is _S.PARTIAL and position.rolled_from is not None
    return is_waiting and position.is_flat and not _was_traded(position)


def _opened(position: Position) -> Position:
    """Open; a successor's stops move by the basis between the two contracts (PF-24)."""
    after = replace(position, status=_S.OPEN)
    if position.rollover is not Rollover.NONE or None in (position.rolled_price, after.entry_price):
        return after
    assert position.rolled_price is not None
    assert after.entry_price is not None
    basis = after.entry_price - position.rolled_price
    return replace(
        after,
        rollover=Rollover.ROLLED,
        stop=_moved(after.stop, basis),
        initial_stop=_moved(after.initial_stop, basis),
        highest_close=_moved(after.highest_close, basis),
        last_price=_moved(after.last_price, basis),
    )


def _moved(price: Decimal | None, basis: Decimal) -> Decimal | None:
    return None if price is None else price + basis


def _not_opened(position: Position) -> Standing:
    """An entry that came to nothing; of a rollover that is a position lost."""
    if position.rolled_from is None:
        return Standing(position=position)
    failed = replace(position, rollover=Rollover.FAILED)
    return Standing(position=failed, alarm=not_reopened(position))


def not_reopened(successor: Position) -> str:
    """Whom to tell what, when a rollover loses its position."""
    closed = f"{successor.rolled_from} was closed to roll"
    return f"CRITICAL {successor.lane}: {closed}, and not reopened"


def _smaller(position: Position, lots: int) -> Standing:
    """Fewer lots than wanted, but whole and even: an ordinary open position of that size."""
    after = replace(_opened(position), lots=lots)
    if lots == position.lots:
        return Standing(position=after)
    alarm = f"{position.lane}: position {position.id} has {lots} of {position.lots} lots"
    return Standing(position=after, alarm=alarm)


def _unequal(position: Position) -> Standing:
    """Half built: repaired from now on; a person's when that does not help."""
    after = replace(position, status=_S.PARTIAL)
    if position.repairs >= REPAIRS_ALONE:
        return Standing(
            position=after,
            alarm=f"CRITICAL {position.lane}: position {position.id} stays half built "
            f"({_held(position)}) after {position.repairs} repairs: look at the broker, send EXIT "
            "or trade it flat there, then unblock the lane",
            block=UNEQUAL_LEGS,
        )
    if position.status is _S.PARTIAL:
        return Standing(position=after)
    alarm = f"{position.lane}: position {position.id} is half built ({_held(position)}): repairing"
    return Standing(position=after, alarm=alarm)


def _net_standing(position: Position, live: Sequence[OrderIntent], now: datetime) -> Position:
    """A net position is open while anything is held, also through a change of sides."""
    if position.is_flat:
        if live:
            return position
        reason = position.reason if _was_traded(position) else NOT_FILLED
        return replace(_closed(position, now), reason=reason)
    return position if position.status is _S.CLOSING else replace(position, status=_S.OPEN)


def _revived(
    position: Position, live: Sequence[OrderIntent], others: Sequence[Position], now: datetime
) -> Standing:
    """A fill came after the position was over: it lives again, if its slot is still free."""
    rivals = (o for o in others if o.id != position.id and o.slot == position.slot and o.is_live)
    if any(rivals):
        return Standing(
            position=position,
            alarm=f"CRITICAL {position.lane}: position {position.id} was closed and holds "
            f"{_held(position)}, and its slot {position.slot} is taken: close it by hand",
            block=SLOT_CONFLICT,
        )
    leaving = position.exit_signal_id is not None or position.exits > 0
    again = replace(
        position, status=_S.CLOSING if leaving else _S.PENDING, closed_at=None, reason=None
    )
    if leaving:
        return Standing(position=again)
    if position.slot == NET_SLOT:
        return Standing(position=replace(again, status=_S.OPEN))
    return _opening_standing(again, live, now)


def _closed(position: Position, now: datetime) -> Position:
    return replace(position, status=_S.CLOSED, closed_at=now)


def _was_traded(position: Position) -> bool:
    return any(leg.bought_quantity > 0 or leg.sold_quantity > 0 for leg in position.legs)


def _common_lots(position: Position) -> int | None:
    """Whole lots held alike in every leg, on the side on which it opens; None where unequal."""
    held = {leg.net if leg.side is Side.BUY else -leg.net for leg in position.legs}
    quantity = held.pop()
    if held or quantity <= 0 or quantity % position.units_per_lot != 0:
        return None
    return int(quantity // position.units_per_lot)


def _entry_price(position: Position) -> Decimal | None:
    """What the position was entered at: of a synthetic, strike + call − put (PF-20)."""
    prices = {leg.name: leg.entry_price for leg in position.legs}
    if CALL not in prices:
        return position.legs[0].entry_price
    call, put = prices[CALL], prices.get(PUT)
    if call is None or put is None or position.strike is None:
        return None
    return position.strike + call - put


def _held(position: Position) -> str:
    return ", ".join(_held_of(leg) for leg in position.legs)


def _held_of(leg: Leg) -> str:
    return f"{leg.name} {plain(leg.net)}"
