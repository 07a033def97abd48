"""Named places of the trade path at which a test can kill or pause this very process.

Armed by ONEFILL_FAILPOINT=`name[:nth[:kill|stop]]`; unarmed it costs one comparison.
"""

from __future__ import annotations

import enum
import os
import signal
from dataclasses import dataclass


class Failpoint(enum.StrEnum):
    """Before and after each commit and each send, on the way from a webhook to a position; and
    after each step of a takeover, on both sides, and of a succession."""

    INTAKE_BEFORE_COMMIT = "intake_before_commit"
    INTAKE_AFTER_COMMIT = "intake_after_commit"
    DECIDE_BEFORE_COMMIT = "decide_before_commit"
    DECIDE_AFTER_COMMIT = "decide_after_commit"
    CLAIM_BEFORE_COMMIT = "claim_before_commit"
    CLAIM_AFTER_COMMIT = "claim_after_commit"
    SEND_BEFORE = "send_before"
    SEND_AFTER = "send_after"
    SETTLE_BEFORE_COMMIT = "settle_before_commit"
    SETTLE_AFTER_COMMIT = "settle_after_commit"
    LOOK_UP_BEFORE = "look_up_before"
    LOOK_UP_AFTER = "look_up_after"
    LEASE_TAKEN = "lease_taken"
    TAKEOVER_REQUESTED = "takeover_requested"
    TAKEOVER_READY = "takeover_ready"
    TAKEOVER_TAKEN = "takeover_taken"
    HANDOVER_DRAINED = "handover_drained"
    HANDOVER_TRANSFERRED = "handover_transferred"


@dataclass(slots=True)
class _Armed:
    point: Failpoint
    remaining: int
    deadly: bool


_armed: _Armed | None = None


def arm(text: str) -> None:
    """Arm one failpoint: `name`, `name:3` (at the third visit), `name:3:stop` (SIGSTOP).

    Raises ValueError for a name or an action that does not exist.
    """
    global _armed  # noqa: PLW0603  a process dies only once: one switch is enough
    if not text:
        _armed = None
        return
    name, _, rest = text.partition(":")
    nth, _, action = rest.partition(":")
    if action not in ("", "kill", "stop"):
        raise ValueError(f"a failpoint kills or stops, not {action!r}")
    _armed = _Armed(Failpoint(name), int(nth or 1), action != "stop")


def arm_from_environment() -> None:
    """Arm what ONEFILL_FAILPOINT names, if anything."""
    arm(os.environ.get("ONEFILL_FAILPOINT", ""))


def reach(point: Failpoint) -> None:
    """Say that this place is reached; if it is the armed one, the process ends or stops here."""
    if _armed is None or _armed.point is not point:
        return
    _armed.remaining -= 1
    if _armed.remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL if _armed.deadly else signal.SIGSTOP)
