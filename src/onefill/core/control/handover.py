"""The steps of a takeover on both sides, without I/O: what is seen → the next move.

A message only wakes; each move follows from what the store says, so that a lost, late or
repeated one changes nothing (CTL-11). The transfer itself is one compare-and-set on the epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from onefill.core.errors import invariant
from onefill.core.ids import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverTiming:
    """Milliseconds. drain_ms: how long a holder may drain; forced_after_ms: without an answer."""

    drain_ms: int = 5_000
    forced_after_ms: int = 10_000

    def __post_init__(self) -> None:
        """A holder that drains to the end must not be forced meanwhile."""
        invariant(self.drain_ms < self.forced_after_ms, "draining ends before forcing begins")


class Step(enum.StrEnum):
    """What a takeover has come to; each is recorded with its time and shown."""

    REQUESTED = "requested"  # its row is stored: this is the one operation of this epoch
    READY = "ready"  # the requester has proved that it can act
    DRAINING = "draining"  # the holder starts nothing more
    DRAINED = "drained"  # what it had sent has its answer, or its time is over
    TRANSFERRED = "transferred"  # the lease has a new epoch and a new holder
    FORCED = "forced"  # taken from a holder that did not answer, or by order
    ACTIVE = "active"  # the new holder is able to act
    FAILED = "failed"  # nothing changed


ENDS = (Step.ACTIVE, Step.FAILED)
"""After one of these nothing more comes of a takeover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The lease as the requester sees it. vacant: nobody holds it, or its holder is gone."""

    epoch: Epoch
    is_mine: bool
    vacant: bool


class RequesterMove(enum.Enum):
    """What the requester does next."""

    WAIT = "the holder is at it"
    TAKE = "nobody is there to hand it over: acquire it"
    FORCE = "the holder does not answer: take it"
    ADOPT = "the lease is ours: lead"
    YIELD = "somebody else was faster"


def requester_move(
    expected: Epoch, sight: Sight, *, waited_ms: float, by_force: bool, timing: HandoverTiming
) -> RequesterMove:
    """The requester's next move, waited_ms after its request was stored."""
    if sight.epoch != expected:
        return RequesterMove.ADOPT if sight.is_mine else RequesterMove.YIELD
    if sight.vacant:
        return RequesterMove.TAKE
    if by_force or waited_ms >= timing.forced_after_ms:
        return RequesterMove.FORCE
    return RequesterMove.WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A takeover as the holder finds it. age_ms is by the store's clock."""

    expected: Epoch
    is_ready: bool
    has_ended: bool
    age_ms: float


def holder_agrees(request: Request, epoch: Epoch, timing: HandoverTiming) -> bool:
    """Whether the holder of this epoch starts to drain for the request.

    One whose requester may have lost patience already is left alone: it would drain for nobody.
    """
    is_fresh = request.age_ms < timing.forced_after_ms - timing.drain_ms
    return request.is_ready and not request.has_ended and request.expected == epoch and is_fresh
