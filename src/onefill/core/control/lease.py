"""The holder's side of a lease, without I/O: (state, event, now) → (state, actions).

Trust is anchored at the ask: a grant counts from before its request was sent (CTL-3), on a clock
that never steps. Safety does not rest on any of this (the fence does); it decides how soon.
"""

from __future__ import annotations

from dataclasses import dataclass

from onefill.core.errors import invariant
from onefill.core.ids import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """Milliseconds. A holder that could not renew for give_up_ms stops by itself."""

    ttl_ms: int = 1200
    renew_every_ms: int = 250
    call_timeout_ms: int = 200
    give_up_ms: int = 800

    def __post_init__(self) -> None:
        """Two renewals must be able to fail, and a holder must stop before it can be succeeded."""
        spare = self.ttl_ms - self.renew_every_ms - 2 * self.call_timeout_ms
        invariant(spare >= 0, "renew_every_ms + 2·call_timeout_ms fits in ttl_ms", spare_ms=spare)
        invariant(self.give_up_ms < self.ttl_ms, "a holder gives up before its lease ends")


@dataclass(frozen=True, slots=True)
class Following:
    """Somebody else may hold it. look_at_ms: when to look again."""

    look_at_ms: float = 0


@dataclass(frozen=True, slots=True)
class Leading:
    """Held: trusted until until_ms, renewed again at renew_at_ms."""

    epoch: Epoch
    until_ms: float
    renew_at_ms: float


State = Following | Leading


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease was read: its epoch, whether it can be had, and for how long it can't."""

    epoch: Epoch
    obtainable: bool
    remaining_ms: float


@dataclass(frozen=True, slots=True)
class Granted:
    """An acquisition succeeded; asked_at_ms is from before it was sent."""

    epoch: Epoch
    asked_at_ms: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """A renewal succeeded; asked_at_ms is from before it was sent."""

    asked_at_ms: float


@dataclass(frozen=True, slots=True)
class Lost:
    """A renewal matched no row, or a guarded write was fenced off: this epoch is over."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The store did not answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody was faster."""


Event = Tick | Seen | Granted | Renewed | Lost | Failed | Refused


@dataclass(frozen=True, slots=True)
class Look:
    """Read the lease."""


@dataclass(frozen=True, slots=True)
class Take:
    """Try to acquire it, if its epoch is still the expected one."""

    expected: Epoch


@dataclass(frozen=True, slots=True)
class Renew:
    """Prolong it."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class StartLeading:
    """Act from now on, under this epoch."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class StopLeading:
    """Stop every effect now; reason is for the history."""

    epoch: Epoch
    reason: str


Action = Look | Take | Renew | StartLeading | StopLeading
Step = tuple[State, tuple[Action, ...]]


def step(state: State, event: Event, now_ms: float, timing: LeaseTiming) -> Step:
    """What follows from the event. now_ms is on the boot-time clock."""
    if isinstance(state, Leading):
        return _leading(state, event, now_ms, timing)
    return _following(state, event, now_ms, timing)


def wake_at_ms(state: State) -> float:
    """When the next Tick is due."""
    if isinstance(state, Leading):
        return min(state.renew_at_ms, state.until_ms)
    return state.look_at_ms


def _following(state: Following, event: Event, now_ms: float, timing: LeaseTiming) -> Step:
    later = Following(now_ms + timing.renew_every_ms)
    match event:
        case Tick() if now_ms >= state.look_at_ms:
            return later, (Look(),)
        case Seen(epoch, True, _):
            return later, (Take(epoch),)
        case Seen(_, False, remaining_ms):
            soon = min(max(remaining_ms, 10), timing.renew_every_ms)
            return Following(now_ms + soon), ()
        case Granted(epoch, asked_at_ms):
            until = asked_at_ms + timing.give_up_ms
            if until <= now_ms:
                return later, ()
            return Leading(epoch, until, asked_at_ms + timing.renew_every_ms), (
                StartLeading(epoch),
            )
        case Failed() | Refused():
            return later, ()
        case _:
            return state, ()


def _leading(state: Leading, event: Event, now_ms: float, timing: LeaseTiming) -> Step:
    if isinstance(event, Lost):
        return Following(now_ms + timing.renew_every_ms), (StopLeading(state.epoch, "fenced"),)
    if now_ms >= state.until_ms:
        return Following(now_ms), (StopLeading(state.epoch, "deadline"),)
    match event:
        case Tick() if now_ms >= state.renew_at_ms:
            renewing = Leading(state.epoch, state.until_ms, now_ms + timing.renew_every_ms)
            return renewing, (Renew(state.epoch),)
        case Renewed(asked_at_ms):
            until = max(state.until_ms, asked_at_ms + timing.give_up_ms)
            return Leading(state.epoch, until, asked_at_ms + timing.renew_every_ms), ()
        case Failed():
            return Leading(state.epoch, state.until_ms, now_ms + timing.call_timeout_ms / 4), ()
        case _:
            return state, ()
