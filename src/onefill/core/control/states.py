"""What an instance is doing, as one table: (state, event) → state. Source: CTL-9."""

from __future__ import annotations

import enum

from onefill.core.errors import Bug


class InstanceState(enum.StrEnum):
    """CTL-9. ACTIVE means able to act; so does PAUSED, and nothing else."""

    STANDBY = "STANDBY"
    CANDIDATE = "CANDIDATE"  # asks for control, and proves that it is ready for it
    RECONCILING = "RECONCILING"  # holds the lease, and reads its way in
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"  # able to act, but a person stopped new exposure, or exits too
    DRAINING = "DRAINING"  # starts nothing more, and finishes what it sent
    FENCED = "FENCED"  # was succeeded while it still acted; what it tries is refused
    SAFE = "SAFE"  # the authority lost commits: nothing new until a person or the brokers explain
    PROTECT_ONLY = "PROTECT_ONLY"  # led, and the one authority is away: stops only, nothing new
    HALTED = "HALTED"  # leads, but its book is broken: nothing is executed until a person looked


class ControlEvent(enum.Enum):
    """What happens to an instance."""

    ASKED = "somebody wants this instance to take control"
    GAVE_UP = "the request for control came to nothing"
    ELECTED = "the lease is this instance's"
    ABLE = "the book is whole, the loops run"
    BOOK_BROKEN = "the stored book breaks its promises"
    PAUSED = "a person paused trading"
    RESUMED = "trading is not paused, or not any more"
    STEP_DOWN = "control is to be handed on"
    LOST = "the lease is over: handed on, run out, or somebody else's"
    AUTHORITY_AWAY = "the lease ran out because the one authority can't be reached"
    AUTHORITY_SEEN = "the authority answers again: whoever leads now, it says"
    REFUSED = "a guarded write was refused: somebody else leads"
    HISTORY_LOST = "the authority is not what it was"
    EXPLAINED = "every difference is explained, or a person said so"


ABLE = frozenset({InstanceState.ACTIVE, InstanceState.PAUSED})
"""Where an instance acts: while paused, on exits and stops."""

S, E = InstanceState, ControlEvent

_TABLE: dict[tuple[InstanceState, ControlEvent], InstanceState] = {
    (S.STANDBY, E.ASKED): S.CANDIDATE,
    (S.CANDIDATE, E.ASKED): S.CANDIDATE,
    (S.CANDIDATE, E.GAVE_UP): S.STANDBY,
    (S.FENCED, E.ASKED): S.CANDIDATE,
    **{(s, E.ELECTED): S.RECONCILING for s in (S.STANDBY, S.CANDIDATE, S.FENCED, S.PROTECT_ONLY)},
    # A hand-over that came to nothing: the lease is still ours, so we act again.
    (S.DRAINING, E.ELECTED): S.RECONCILING,
    (S.RECONCILING, E.ABLE): S.ACTIVE,
    (S.RECONCILING, E.BOOK_BROKEN): S.HALTED,
    (S.ACTIVE, E.PAUSED): S.PAUSED,
    (S.PAUSED, E.RESUMED): S.ACTIVE,
    **{(s, E.STEP_DOWN): S.DRAINING for s in (S.RECONCILING, S.ACTIVE, S.PAUSED, S.HALTED)},
    **{(s, E.LOST): S.STANDBY for s in S if s is not S.SAFE},
    **{(s, E.REFUSED): S.FENCED for s in (S.RECONCILING, S.ACTIVE, S.PAUSED, S.DRAINING, S.HALTED)},
    # Who could act goes on protecting what is held (CTL-10); everybody else only waits.
    **{(s, E.AUTHORITY_AWAY): S.PROTECT_ONLY for s in ABLE},
    **{(s, E.AUTHORITY_AWAY): S.STANDBY for s in (S.RECONCILING, S.DRAINING, S.HALTED)},
    (S.PROTECT_ONLY, E.AUTHORITY_SEEN): S.STANDBY,
    **{(s, E.HISTORY_LOST): S.SAFE for s in S},
    (S.SAFE, E.EXPLAINED): S.STANDBY,
}


def next_state(state: InstanceState, event: ControlEvent) -> InstanceState:
    """The state after the event; one that says nothing new in this state leaves it as it is."""
    return _TABLE.get((state, event), state)


def events_of(state: InstanceState) -> frozenset[ControlEvent]:
    """What leads out of a state. Raises Bug when nothing does: no state is a trap."""
    ways = frozenset(event for (at, event), to in _TABLE.items() if at is state and to is not state)
    if not ways:
        raise Bug(f"nothing leads out of {state}")
    return ways
