"""How often a sender may knock (SIG-8)."""

from __future__ import annotations

from dataclasses import dataclass

SENDERS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many a minute in the long run, and so many at once."""

    a_minute: int = 100
    burst: int = 50


class RateLimit:
    """A token bucket for each sender, kept as one number: the time at which it is full again."""

    def __init__(self, rate: Rate) -> None:
        self._interval_ms = 60_000 / rate.a_minute
        self._capacity_ms = self._interval_ms * rate.burst
        self._full_at_ms: dict[str, float] = {}

    def wait_ms(self, sender: str, now_ms: float) -> float:
        """0 when the sender may go on now, which counts; else how long it has to wait."""
        full_at_ms = max(self._full_at_ms.get(sender, now_ms), now_ms) + self._interval_ms
        over_ms = full_at_ms - now_ms - self._capacity_ms
        if over_ms > 0:
            return over_ms
        self._full_at_ms[sender] = full_at_ms
        if len(self._full_at_ms) > SENDERS_MAX:
            self._make_room(now_ms)
        return 0

    def _make_room(self, now_ms: float) -> None:
        """Full buckets say nothing. A crowd that leaves none costs leniency, never memory."""
        kept = {who: at_ms for who, at_ms in self._full_at_ms.items() if at_ms > now_ms}
        self._full_at_ms = kept if len(kept) <= SENDERS_MAX // 2 else {}
