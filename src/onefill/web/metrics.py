"""`GET /metrics`: the process's figures in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

from onefill.ports.metrics import Counter, Gauge, Histogram, Metric, Metrics
from onefill.web.asgi import Answer, Receive, Scope, Send, respond
from onefill.web.problem import METHOD_NOT_ALLOWED, UNAUTHORIZED, problem_answer


class MetricsPage:
    """may_read: whether a request comes with a viewer's or an operator's right (IF-2)."""

    def __init__(self, metrics: Metrics, may_read: Callable[[Scope], bool]) -> None:
        self._may_read = may_read
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(metrics))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with all figures of this moment."""
        if scope["method"] not in ("GET", "HEAD"):
            answer = problem_answer(METHOD_NOT_ALLOWED, headers=((b"allow", b"GET, HEAD"),))
        elif not self._may_read(scope):
            answer = problem_answer(UNAUTHORIZED, headers=((b"www-authenticate", b"Bearer"),))
        else:
            headers = ((b"content-type", CONTENT_TYPE_LATEST.encode()),)
            answer = Answer(200, generate_latest(self._registry), headers)
        await respond(scope, send, answer)


class _Collector:
    """Copies plain numbers into Prometheus' shapes when somebody looks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        return map(_family, self._metrics)


def _family(metric: Metric) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily
    values: Mapping[tuple[str, ...], float]
    match metric:
        case Histogram():
            return _histogram(metric)
        case Counter():
            family = CounterMetricFamily(metric.name, metric.help_text, labels=metric.labels)
            values = metric.values
        case Gauge():
            family = GaugeMetricFamily(metric.name, metric.help_text, labels=metric.labels)
            values = metric.values
        case _:
            raise TypeError(metric)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Histogram) -> Family:
    bounds = [*map(str, metric.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(metric.counts), strict=True))
    family = HistogramMetricFamily(metric.name, metric.help_text)
    family.add_metric((), buckets, metric.sum)
    return family
