"""Hands on what one loop has done to those whom it concerns. Loops meet here and in the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from onefill.core.book import Decision, Situation
from onefill.core.ids import Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.signal import LoggedSignal, SignalStatus
from onefill.flow.chaser import Chaser
from onefill.flow.executor import Executor
from onefill.flow.stop_watch import StopWatch
from onefill.flow.tracker import Tracker
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.metrics import Metrics
from onefill.ports.trading import Decide, Settled

SIGNALS_TIMED_MAX = 10_000
_ANSWERED = frozenset({IntentState.ACKED, IntentState.PARTIALLY_FILLED, IntentState.FILLED})


Listener = Executor | Tracker | Chaser | StopWatch
"""Who is told of settled intents."""


class Hub:
    """What follows when words of brokers are stored; and the time that it took."""

    def __init__(
        self,
        *,
        lanes: Inbox[Lane],
        ended: Topic[tuple[int, SignalStatus, str | None]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._lanes = lanes
        self._ended = ended
        self._metrics = metrics
        self._clock = clock
        self._received: OrderedDict[int, datetime] = OrderedDict()
        self._listeners: list[Listener] = []

    def connect(self, *listeners: Listener) -> None:
        """Tell these of settled intents from now on."""
        self._listeners += listeners

    def settled(self, settled: Settled) -> None:
        """Wake the lanes, tell the listeners, end the signals, count."""
        self._lanes.add(settled.lanes)
        for listener in self._listeners:
            listener.settled(settled.intents)
        for intent in settled.intents:
            self._metrics.orders.add(intent.order.broker, intent.state.value)
            self._time(intent)
        for signal in settled.signals:
            self._ended.publish(signal)

    def timing(self, decide: Decide) -> Decide:
        """The same decision, with the moment noted at which its signal had come."""

        def decide_and_note(logged: LoggedSignal, situation: Situation) -> Decision:
            decision = decide(logged, situation)
            if decision.intents:
                self._received[logged.id] = logged.received_at
                if len(self._received) > SIGNALS_TIMED_MAX:
                    self._received.popitem(last=False)
            return decision

        return decide_and_note

    def _time(self, intent: OrderIntent) -> None:
        if intent.state not in _ANSWERED or intent.signal_id is None:
            return
        received_at = self._received.pop(intent.signal_id, None)
        if received_at is not None:
            seconds = (self._clock.wall() - received_at).total_seconds()
            self._metrics.signal_to_order_seconds.observe(max(0.0, seconds))


LoggedBroker = Callable[[LoggedSignal], str]
"""Which broker a signal's orders would go to."""
