"""What a lane has begun and not finished, and is due: exits, half-built positions, rollovers,
orders that follow their price, stops at the broker."""

from __future__ import annotations

from dataclasses import replace

from onefill.core.book import Decision, Situation, joined
from onefill.core.instrument import Rules
from onefill.core.orders.closing import continue_exits
from onefill.core.orders.repair import continue_repairs
from onefill.core.orders.shutting import withdraw_unsent
from onefill.core.portfolio.chasing import continue_chases
from onefill.core.portfolio.guarding import keep_stops
from onefill.core.portfolio.rollover import continue_rollovers
from onefill.core.slippage import with_prices

_STEPS = (
    withdraw_unsent,
    keep_stops,
    continue_chases,
    continue_exits,
    continue_repairs,
    continue_rollovers,
)


def go_on(situation: Situation, rules: Rules) -> Decision | None:
    """The next orders of all that is due; None when nothing is, or exits are paused as well.

    It decides no signal.
    """
    if situation.exits_paused:
        return None
    done: Decision | None = None
    for step in _STEPS:
        taken = step(situation, rules)
        if taken is not None:
            taken = with_prices(taken, situation)
            situation = situation.after(taken)
            reason = None if done is None else done.reason  # why orders are withdrawn
            done = taken if done is None else replace(joined(done, taken), reason=reason)
    return done
