"""What was found: fine, odd or wrong, each with what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Grade(enum.StrEnum):
    """How bad it is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. remedy is empty where nothing is to be done."""

    grade: Grade
    subject: str
    found: str
    remedy: str = ""


def ok(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(Grade.OK, subject, found)


def warn(subject: str, found: str, remedy: str) -> Finding:
    """It works, and may go wrong."""
    return Finding(Grade.WARN, subject, found, remedy)


def fail(subject: str, found: str, remedy: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(Grade.FAIL, subject, found, remedy)


def skew(subject: str, ahead_ms: float, *, worst_ms: float) -> Finding:
    """A clock against ours; ahead_ms is negative where it is behind."""
    off_ms = abs(ahead_ms)
    if off_ms <= worst_ms:
        return ok(subject, f"within {worst_ms:.0f} ms of ours ({ahead_ms:+.0f} ms)")
    remedy = "Let NTP (chrony, systemd-timesyncd) set both clocks."
    return warn(subject, f"{ahead_ms:+.0f} ms from ours", remedy)
