"""What a lane has begun and not finished, and is due again: exits, and half-built positions."""

from __future__ import annotations

from onefill.core.book import Decision, Situation, joined
from onefill.core.closing import continue_exits
from onefill.core.instrument import Rules
from onefill.core.repair import continue_repairs


def go_on(situation: Situation, rules: Rules) -> Decision | None:
    """The next orders of all that is due; None when nothing is. It decides no signal."""
    exits = continue_exits(situation, rules)
    repairs = continue_repairs(situation, rules)
    if exits is None or repairs is None:
        return exits or repairs
    return joined(exits, repairs)
