"""Figures about the running process: plain numbers in memory, which some exporter may read.

Adding to one costs a dictionary access, so the hot path can afford it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

PREFIX = "onefill_"
LATENCY_BUCKETS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)


class Metric:
    """What all have: a name without unit prefixes of its own, a help text, label names."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self.name = PREFIX + name
        self.help_text = help_text
        self.labels = labels


class Counter(Metric):
    """Only goes up; its exported name ends in _total."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(name, help_text, labels)
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count one more, or `by` more."""
        self.values[labels] = self.values.get(labels, 0) + by


class Gauge(Metric):
    """Goes up and down; absent until it is first set."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[tuple[str, ...], float] = {}
        self._readers: list[Callable[[], Mapping[tuple[str, ...], float]]] = []

    def set(self, value: float, *labels: str) -> None:
        """Say what it is now."""
        self._values[labels] = value

    def drop(self, *labels: str) -> None:
        """Forget it: it is known no more."""
        self._values.pop(labels, None)

    def read_with(self, reader: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Ask this function whenever somebody looks, instead of being told."""
        self._readers.append(reader)

    @property
    def values(self) -> Mapping[tuple[str, ...], float]:
        """What it is now, by label values."""
        return dict(self._values) | {
            key: value for reader in self._readers for key, value in reader().items()
        }


class Histogram(Metric):
    """How often a duration in seconds fell at or under each bound."""

    def __init__(self, name: str, help_text: str) -> None:
        super().__init__(name, help_text)
        self.bounds = LATENCY_BUCKETS_S
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Metrics:
    """All figures of one process, under the names of 60-interfaces.md (IF-5)."""

    def __init__(self) -> None:
        self.signals = Counter("signals_total", "Webhooks by what was answered.", ("status",))
        self.signal_duplicates = Counter(
            "signal_duplicates_total", "Repeated signals by the layer that knew them.", ("layer",)
        )
        self.webhook_seconds = Histogram("webhook_seconds", "From a webhook's head to its answer.")
        self.signal_to_order_seconds = Histogram(
            "signal_to_order_seconds", "From a signal's receipt to the broker's word on its order."
        )
        self.orders = Counter(
            "orders_total", "Orders by broker and the state they came to.", ("broker", "state")
        )
        self.intents_in_doubt = Gauge("intents_in_doubt", "Orders sent whose outcome is unknown.")
        self.quarantined = Gauge("quarantined", "Orders that only a person can settle.")
        self.quotes_missing = Counter(
            "quotes_missing_total", "Prices that a broker did not give in time.", ("broker",)
        )
        self.missed_signals = Gauge(
            "missed_signals", "Bars, numbers and positions that are missed now.", ("kind",)
        )
        self.leader = Gauge("leader", "1 on the instance that leads.", ("instance",))
        self.epoch = Gauge("epoch", "The epoch of a lease as last seen.", ("resource",))
        self.leadership_changes = Counter(
            "leadership_changes_total", "Changes of the leader as seen here.", ("reason",)
        )
        self.failover_seconds = Histogram(
            "failover_seconds", "From the loss of a leader until the next one could act."
        )
        self.handover_seconds = Histogram(
            "handover_seconds", "From a request to take control until it was taken."
        )
        self.history_failures = Counter(
            "history_write_failures_total", "Lines of the leadership's history not written at once."
        )
        self.split_brain = Counter("split_brain_total", "Times that two leaders were seen.")
        self.db_sync = Counter(
            "db_sync_total", "Lease, heartbeat and mirror writes by their result.", ("result",)
        )
        self.db_sync_seconds = Histogram("db_sync_seconds", "How long such a write took.")
        self.heartbeat_age_seconds = Gauge(
            "heartbeat_age_seconds", "Since an instance was last heard.", ("instance",)
        )
        self.spool_signals = Gauge("spool_signals", "Signals that wait in the local spool.")
        self.safe = Gauge("safe", "1 while the database is known to have lost commits.")
        self.authority_losses = Counter(
            "authority_losses_total", "Times that the database had lost commits.", ("kind",)
        )
        self.spooled = Counter(
            "spooled_total", "Signals that the log could not take: kept, full, failed.", ("result",)
        )
        self.database_up = Gauge("database_up", "1 while the database answers.")
        self.redis_up = Gauge("redis_up", "1 while Redis answers; absent where there is none.")
        self.loop_lag_seconds = Gauge("loop_lag_seconds", "How late the event loop runs.")
        self.equity = Gauge("equity", "Equity in rupees.", ("portfolio",))
        self.portfolio_risk_percent = Gauge(
            "portfolio_risk_percent", "Open risk as a percentage of equity.", ("portfolio",)
        )

    def __iter__(self) -> Iterator[Metric]:
        return (metric for metric in vars(self).values() if isinstance(metric, Metric))
