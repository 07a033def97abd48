"""From an expiring contract into the next: closed, then opened anew in its slot. Source: PF-24.

A position's row is the saga's record. `pending`: the scheduler asked for it. `in_progress`: its
legs are being closed; it keeps its slot, flat or not, until its successor is written in the same
commit as its end. The successor's stops move by the basis when it is filled. Every order's id is
derived, so that whoever resumes closes and opens nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from onefill.core.admission import opening_after
from onefill.core.book import WAIT, Decision, Situation, TimeBasis, joined
from onefill.core.ids import position_id
from onefill.core.instrument import Instrument, Rules
from onefill.core.intent import OrderIntent, Side
from onefill.core.issue import is_waiting_stop
from onefill.core.market_hours import is_open
from onefill.core.orders.closing import begin_closing
from onefill.core.portfolio.contracts import choose_contract
from onefill.core.portfolio.legs import new_legs, opening_intents
from onefill.core.position import CALL, FUTURE, PUT, Leg, Position, PositionStatus, Rollover
from onefill.core.signal import Signal, SignalKind, SignalStatus

ROLLOVER = "rollover"
"""The reason of positions that ended in their successor."""
_ROOM = timedelta(minutes=10)
"""Nothing begins to roll so shortly before the close: what is closed is to be opened on the same
day, or the night's gap would count as basis."""
_LAST_CALL = timedelta(days=1)
"""So long before its contract's end a position of a blocked lane waits; then it has to leave."""


def must_roll(position: Position, instrument: Instrument, today: date) -> bool:
    """Whether fewer than the instrument's days are left to its contract."""
    if position.status is not PositionStatus.OPEN or position.expiry is None:
        return False
    return position.expiry - today < timedelta(days=instrument.rollover_days)


def must_roll_at(position: Position, moment: datetime, rules: Rules) -> bool:
    """The same at that moment, and only while the instrument's exchange trades."""
    instrument = rules.instruments.get(position.instrument)
    if instrument is None:
        return False
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    if rules.switches.market_hours and not is_open(instrument.exchange, moment, holidays):
        return False
    return must_roll(position, instrument, moment.astimezone(ZoneInfo(instrument.zone)).date())


def roll_first(signal: Signal, situation: Situation, rules: Rules) -> Decision | None:
    """In a replay: what must roll by the signal's own time rolls before it; None when all has.

    No scheduler's clock counts there, so that the same recording rolls at the same prices however
    fast it is played. The signal waits meanwhile; an exit does not, and what it closes needs no
    new contract.
    """
    by_signals = situation.account.time_basis is TimeBasis.SIGNAL
    if not by_signals or signal.kind is SignalKind.EXIT or situation.blocked is not None:
        return None
    due = {p.id for p in situation.here if _is_due(p, signal.time, rules)}
    if not due:
        return WAIT if any(_is_on_its_way(position) for position in situation.here) else None
    asked = tuple(
        replace(p, rollover=Rollover.PENDING) if p.id in due else p for p in situation.positions
    )
    begun = continue_rollovers(replace(situation, positions=asked), rules)
    marked = Decision(
        status=SignalStatus.RECEIVED, positions=tuple(p for p in asked if p.id in due)
    )
    return replace(joined(marked, begun) if begun is not None else marked, wait=True)


def _is_due(position: Position, moment: datetime, rules: Rules) -> bool:
    is_idle = position.rollover in (Rollover.NONE, Rollover.ROLLED)
    return is_idle and must_roll_at(position, moment, rules)


def _is_on_its_way(position: Position) -> bool:
    is_new = position.status is PositionStatus.PENDING and position.rolled_from is not None
    return is_new or position.is_rolling or position.rollover is Rollover.PENDING


def continue_rollovers(situation: Situation, rules: Rules) -> Decision | None:
    """The next step of each rollover of the lane that can take one; None without any.

    Steps are taken in market hours, and while no order of the position may still fill.
    """
    positions: list[Position] = []
    intents: list[OrderIntent] = []
    alarms: list[str] = []
    for position in situation.here:
        if not _can_step(position, situation, rules):
            continue
        changed, issued, told = _step(position, situation, rules)
        positions += changed
        intents += issued
        alarms += told
    if not positions:
        return None
    return Decision(
        status=SignalStatus.DECIDED,
        positions=tuple(positions),
        intents=tuple(intents),
        alarms=tuple(alarms),
    )


def _can_step(position: Position, situation: Situation, rules: Rules) -> bool:
    mine = (i for i in situation.intents if i.position_id == position.id)
    if any(not is_waiting_stop(intent) for intent in mine):
        return False
    opens = opening_after(position.instrument, situation, rules)
    if position.rollover is Rollover.PENDING and position.status is PositionStatus.OPEN:
        return opens is None and _may_begin(position, situation, rules)
    if not (position.is_rolling and position.is_flat):
        return False
    by_the_clock = situation.account.time_basis is TimeBasis.NOW
    return opens is None or (by_the_clock and position.next_exit_at != opens)


def _may_begin(position: Position, situation: Situation, rules: Rules) -> bool:
    """Whether what is closed now can be opened again now. A replay's prices wait for nobody."""
    if situation.account.time_basis is TimeBasis.SIGNAL:
        return True
    later = replace(situation, now=situation.now + _ROOM)
    if opening_after(position.instrument, later, rules) is not None:
        return False
    if situation.blocked is None or position.expiry is None:
        return True
    instrument = rules.instruments.get(position.instrument)
    return instrument is None or position.expiry - _today(situation, instrument) <= _LAST_CALL


def _step(
    position: Position, situation: Situation, rules: Rules
) -> tuple[Sequence[Position], Sequence[OrderIntent], Sequence[str]]:
    if position.rollover is Rollover.PENDING:
        rolling = replace(position, rollover=Rollover.IN_PROGRESS)
        left, issued = begin_closing(
            rolling, situation.intents, situation, rules, signal_id=None, reason=ROLLOVER
        )
        return (left,), issued, ()
    opens = opening_after(position.instrument, situation, rules)
    if opens is not None:
        alarm = f"CRITICAL {position.lane}: {position.id} was closed to roll and its market closed"
        waiting = replace(position, next_exit_at=opens)
        return (waiting,), (), (f"{alarm}: nothing is held before {opens:%Y-%m-%d %H:%M}",)
    ended = replace(position, status=PositionStatus.CLOSED, closed_at=situation.now)
    instrument, price = rules.instruments.get(position.instrument), exit_price(position)
    if instrument is None or price is None or situation.blocked is not None:
        failed = replace(ended, rollover=Rollover.FAILED)
        alarm = f"CRITICAL {position.lane}: {position.id} was closed to roll, and can't be opened"
        return (failed,), (), (f"{alarm} ({situation.blocked or 'no such instrument'})",)
    done = replace(ended, rollover=Rollover.ROLLED, rollover_timestamp=situation.now)
    successor = _successor(position, instrument, price, situation, rules)
    opening = opening_intents(successor, successor.id, rules, signal_id=None, valid_until=None)
    # Not new exposure: it was held a moment ago, so that no pause stops it half way.
    orders = [replace(intent, adds_exposure=False) for intent in opening]
    return (done, successor), orders, ()


def _successor(
    old: Position, instrument: Instrument, price: Decimal, situation: Situation, rules: Rules
) -> Position:
    """The same position in the next contract; its prices still those of the old one."""
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    today = _today(situation, instrument)
    contract = choose_contract(instrument, today, price, holidays, situation.series)
    return replace(
        old,
        id=position_id(old.id, old.slot),
        status=PositionStatus.PENDING,
        legs=new_legs(instrument, contract, old.lots, rules),
        closed_at=None,
        units_per_lot=contract.units_per_lot,
        point_value=contract.point_value,
        entry_price=None,
        strike=contract.strike,
        expiry=contract.expiry,
        exits=0,
        repairs=0,
        next_exit_at=None,
        exit_signal_id=None,
        reason=None,
        rollover=Rollover.NONE,
        rollover_count=old.rollover_count + 1,
        rollover_pnl=old.rollover_pnl + old.realised,
        rollover_timestamp=situation.now,
        rolled_from=old.id,
        rolled_price=price,
        carried_points=price - (old.effective_entry or price),
        original_expiry=old.original_expiry or old.expiry,
        original_strike=old.original_strike or old.strike,
        original_entry_price=old.original_entry_price or old.entry_price,
        guards=0,
        guard_at=situation.now if instrument.protective_stop else None,
        version=0,
    )


def _today(situation: Situation, instrument: Instrument) -> date:
    return situation.market_time.astimezone(ZoneInfo(instrument.zone)).date()


def exit_price(position: Position) -> Decimal | None:
    """What a flat position was left at: of a synthetic, strike + call − put."""
    prices = {leg.name: _closing_price(leg) for leg in position.legs}
    if FUTURE in prices:
        return prices[FUTURE]
    call, put = prices.get(CALL), prices.get(PUT)
    if call is None or put is None or position.strike is None:
        return None
    return position.strike + call - put


def _closing_price(leg: Leg) -> Decimal | None:
    quantity, value = (
        (leg.sold_quantity, leg.sold_value)
        if leg.side is Side.BUY
        else (leg.bought_quantity, leg.bought_value)
    )
    return value / quantity if quantity > 0 else None
