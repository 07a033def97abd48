"""What a signal of the portfolio engine means now. Source: PF-1 to PF-12, PF-20."""

from __future__ import annotations

from dataclasses import replace

from onefill.core.book import Decision, Situation, joined, refuse
from onefill.core.instrument import Rules
from onefill.core.money import figures
from onefill.core.portfolio.bars import is_newest, stops_any, take_close
from onefill.core.portfolio.entry import enter
from onefill.core.portfolio.exits import leave
from onefill.core.portfolio.rollover import roll_first
from onefill.core.portfolio.safety import exit_warnings
from onefill.core.refusal import Refusal
from onefill.core.signal import LoggedSignal, SignalKind, SignalStatus


def decide(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """The decision on one portfolio signal, with what its price means for the stops held."""
    rolling = roll_first(logged.signal, situation, rules)
    if rolling is not None:
        return rolling
    match logged.signal.kind:
        case SignalKind.EXIT:
            return _leave(logged, situation, rules)
        case SignalKind.MARKET_DATA:
            return note_bar(logged, situation, rules)
        case _:
            return _enter(logged, situation, rules)


def note_bar(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """Take a bar's close and ATR into the lane's positions; an older bar changes nothing."""
    signal = logged.signal
    if not is_newest(signal, situation):
        return refuse(Refusal.OVERTAKEN)
    taken = take_close(signal, situation, rules, logged.id)
    if signal.price is None:
        return taken
    told = figures(price=signal.price, positions=len(taken.positions))
    return replace(taken, numbers={**told, **taken.numbers})


def _leave(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """What is asked for goes first; what its price stops besides goes with it."""
    left = leave(logged, situation, rules)
    close = take_close(logged.signal, situation.after(left), rules, logged.id)
    warnings = exit_warnings(logged.signal, situation, rules.switches) if left.positions else ()
    stopped = close.status is SignalStatus.DECIDED
    status, reason = (close.status, None) if stopped else (left.status, left.reason)
    told = replace(joined(left, close), status=status, reason=reason)
    return replace(told, alarms=told.alarms + warnings)


def _enter(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    close = take_close(logged.signal, situation, rules, None)
    if stops_any(close, situation):
        return joined(close, refuse(Refusal.STOPPED))
    entered = enter(logged, situation.after(close), rules)
    if not entered.wait:
        return joined(close, entered)
    # What the entry waits for may be what its own price peels off: that has to go out first.
    return replace(close, status=entered.status, wait=True) if close.intents else entered
