"""Which engine decides a signal."""

from __future__ import annotations

from dataclasses import replace

from onefill.core.book import WAIT, Decision, Situation, refuse
from onefill.core.direct.decide import decide as decide_direct
from onefill.core.instrument import Rules
from onefill.core.portfolio.decide import decide as decide_portfolio
from onefill.core.portfolio.guarding import guarded
from onefill.core.refusal import Refusal
from onefill.core.signal import Engine, LoggedSignal
from onefill.core.slippage import with_prices


def decide(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """The decision on one signal, by the rules of its engine; pure.

    While exits are paused too, what would send an order waits; what is refused is refused.
    """
    decision = _decide(logged, situation, rules)
    if situation.exits_paused and decision.intents:
        return WAIT
    return _told_of_expiry(logged, with_prices(decision, situation))


def _decide(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    situation = replace(situation, heard_at=logged.signal.time)
    match logged.signal.engine:
        case Engine.PORTFOLIO:
            decision = decide_portfolio(logged, situation, rules)
            return decision if situation.exits_paused else guarded(decision, situation, rules)
        case Engine.DIRECT:
            return decide_direct(logged, situation, rules)
        case _:
            return refuse(Refusal.ENGINE_NOT_AVAILABLE)


def _told_of_expiry(logged: LoggedSignal, decision: Decision) -> Decision:
    """An entry that came too late is a trade that a person expected (SIG-13)."""
    if decision.reason != Refusal.TOO_OLD.code:
        return decision
    signal = logged.signal
    alarm = f"{signal.lane}: {signal.kind} of {signal.time.isoformat()} expired before it traded"
    return replace(decision, alarms=(*decision.alarms, alarm))
