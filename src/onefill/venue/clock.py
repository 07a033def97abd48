"""The venue's own time and chance: the only file here that reads a clock or draws a number."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VenueClock:
    """The time that the venue believes in: the machine's, moved by an offset."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_us(self) -> int:
        """Microseconds since 1970 in the venue's time."""
        return time.time_ns() // 1_000 + self.offset_ms * 1_000

    def now_ms(self) -> int:
        """Milliseconds since 1970 in the venue's time."""
        return self.now_us() // 1_000

    def offset_for(self, at_ms: int) -> int:
        """The offset in milliseconds that makes it `at_ms` now."""
        return at_ms - time.time_ns() // 1_000_000


class Dice:
    """Chance that repeats itself for the same seed; without a seed it differs each time."""

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)

    def falls(self, probability: float) -> bool:
        """True with the given probability (0 never, 1 always)."""
        return self._random.random() < probability

    def step(self) -> float:
        """A step of a random walk: normally distributed, mean 0, deviation 1."""
        return self._random.gauss(0.0, 1.0)


def moment(at_us: int) -> datetime:
    """The UTC time of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def iso(at_us: int | None) -> str | None:
    """The moment as ISO 8601 in UTC with microseconds, and None for none."""
    if at_us is None:
        return None
    return moment(at_us).isoformat(timespec="microseconds").replace("+00:00", "Z")
