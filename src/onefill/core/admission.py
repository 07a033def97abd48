"""What must hold before a signal may add exposure, whichever engine decides it."""

from __future__ import annotations

from datetime import datetime, timedelta

from onefill.core.book import Account, Situation, TimeBasis
from onefill.core.instrument import Rules
from onefill.core.market_hours import is_open, next_open
from onefill.core.refusal import Refusal
from onefill.core.signal import ALL_SLOTS, Engine, Signal, SignalKind

_REPEATABLE = frozenset({SignalKind.BASE_ENTRY, SignalKind.PYRAMID})
"""Kinds for a slot: sizes and targets of the direct policy mean what they say (SIG-11)."""


def refusal_of_entry(signal: Signal, situation: Situation, rules: Rules) -> Refusal | None:
    """Why this signal may not add exposure now, or None. Source: SIG-11, 12, 13, 18, ORD-8."""
    if situation.paused:
        return Refusal.PAUSED
    if opening_after(signal.instrument, situation, rules) is not None:
        return Refusal.OUTSIDE_HOURS
    if is_too_old(signal, situation, rules):
        return Refusal.TOO_OLD
    if is_overtaken(signal, situation):
        return Refusal.OVERTAKEN
    if is_repeat(signal, situation, rules):
        return Refusal.REPEATED
    if situation.blocked is not None:
        return Refusal.LANE_BLOCKED
    return None


def opening_after(name: str, situation: Situation, rules: Rules) -> datetime | None:
    """When the instrument's exchange opens again; None while it trades, or hours don't matter."""
    return closed_until(name, situation.market_time, rules)


def closed_until(name: str, moment: datetime, rules: Rules) -> datetime | None:
    """The same for any moment."""
    instrument = rules.instruments.get(name)
    if instrument is None or not rules.switches.market_hours:
        return None
    exchange = instrument.exchange
    holidays = rules.holidays.get(exchange, frozenset())
    if is_open(exchange, moment, holidays):
        return None
    return next_open(exchange, moment, holidays)


def valid_until(signal: Signal, account: Account, rules: Rules) -> datetime | None:
    """When an entry ends unsent; None where signals are judged by their own time."""
    if account.time_basis is TimeBasis.SIGNAL:
        return None
    return signal.time + timedelta(seconds=float(rules.max_age_of(signal.kind)))


def is_too_old(signal: Signal, situation: Situation, rules: Rules) -> bool:
    """Whether an entry is past its time (SIG-13)."""
    end = valid_until(signal, situation.account, rules)
    return end is not None and situation.now > end


def is_overtaken(signal: Signal, situation: Situation) -> bool:
    """Whether a later signal that makes an end of it was decided already (SIG-12).

    That is an exit of its slot; and for the direct policy a close, or a target, which says what
    is to be held whatever came before it.
    """
    marks = (situation.mark(kind, slot) for kind, slot in _endings(signal))
    return any(mark is not None and mark.time > signal.time for mark in marks)


def _endings(signal: Signal) -> tuple[tuple[SignalKind, str | None], ...]:
    if signal.engine is Engine.DIRECT:
        return (SignalKind.CLOSE, None), (SignalKind.TARGET, None)
    return (SignalKind.EXIT, signal.position), (SignalKind.EXIT, ALL_SLOTS)


def is_repeat(signal: Signal, situation: Situation, rules: Rules) -> bool:
    """Whether the same entry was decided within the window, under another time (SIG-11)."""
    mark = situation.mark(signal.kind, signal.position)
    if signal.kind not in _REPEATABLE or mark is None:
        return False
    if signal.order_id != mark.order_id:
        return False
    return abs(signal.time - mark.time) <= timedelta(seconds=float(rules.duplicate_window_s))
