"""How the writes that keep leases and heartbeats go: the rolling figures of IF-5."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from onefill.ports.metrics import Metrics

ROLLING = 100


class SyncHealth:
    """One db_sync is one lease, heartbeat or mirror write."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._recent: deque[tuple[bool, float]] = deque(maxlen=ROLLING)
        self.good = 0
        self.failed = 0
        self.leadership_changes = 0
        self.last_heartbeat: datetime | None = None
        self.heartbeat_running = False

    def note(self, latency_ms: float, *, is_good: bool) -> None:
        """One write succeeded or failed, after so long."""
        self._recent.append((is_good, latency_ms))
        self.good += is_good
        self.failed += not is_good
        self._metrics.db_sync.add("success" if is_good else "failure")
        self._metrics.db_sync_seconds.observe(latency_ms / 1000)

    @property
    def failure_rate(self) -> float:
        """Failed share of the rolling 100, from 0 to 1."""
        return sum(not good for good, _ in self._recent) / max(1, len(self._recent))

    @property
    def avg_latency_ms(self) -> float:
        """Of the rolling 100."""
        return sum(latency for _, latency in self._recent) / max(1, len(self._recent))
