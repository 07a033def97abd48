"""The market's price for decisions that compare theirs with it. Source: SIG-18.

A decision never waits in here. An entry without a fresh price is decided again when the broker has
answered, or has not in time; an exit goes ahead, and is told of afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import structlog

from onefill.core.book import WAIT, Decision, Situation
from onefill.core.errors import BrokerUnavailable
from onefill.core.ids import Lane
from onefill.core.instrument import Rules
from onefill.core.portfolio.market import Question, leg_prices, market_price, question_of
from onefill.core.portfolio.safety import exit_warnings
from onefill.core.signal import LoggedSignal, Signal
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.metrics import Metrics
from onefill.ports.trading import Decide

ANSWERS_MAX = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTiming:
    """within_s: how long an entry waits for a quote; max_age_s: how long one is good."""

    within_s: float
    max_age_s: float


@dataclass(slots=True)
class _Answer:
    """price: None where the broker had none in time. legs: what it is made of, by symbol."""

    price: Decimal | None
    legs: Mapping[str, Decimal]
    at_ms: float


class Market:
    """Asks brokers, each question once at a time, and remembers the answers for a moment."""

    def __init__(
        self,
        *,
        broker_of: Callable[[str, str], Broker | None],
        rules: Rules,
        wake: Callable[[Lane], None],
        timing: QuoteTiming,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._broker_of = broker_of
        self._rules = rules
        self._wake = wake
        self._timing = timing
        self._metrics = metrics
        self._clock = clock
        self._answers: dict[Question, _Answer] = {}
        self._asking: dict[Question, asyncio.Task[None]] = {}
        self._waiting: dict[Question, set[Lane]] = {}
        self._left: dict[Question, list[tuple[Signal, Situation]]] = {}

    def knowing(self, decide: Decide) -> Decide:
        """The same decision, but of somebody who knows the market's price where it matters."""

        def decide_knowing(logged: LoggedSignal, situation: Situation) -> Decision:
            decision = decide(logged, situation)
            is_entry = logged.signal.may_add_exposure
            if not any(intent.adds_exposure is is_entry for intent in decision.intents):
                return decision  # nothing is entered, or nothing is left: prices don't matter
            question = question_of(logged.signal, situation, self._rules)
            if question is None:
                return decision
            answer = self._fresh(question)
            if answer is None:
                return self._without(logged.signal, situation, question, decision)
            return decide(
                logged,
                replace(
                    situation,
                    market_price=answer.price,
                    market_asked=True,
                    leg_prices=answer.legs,
                ),
            )

        return decide_knowing

    def _without(
        self, signal: Signal, situation: Situation, question: Question, decision: Decision
    ) -> Decision:
        """Ask; an entry waits for that, an exit does not."""
        if question not in self._asking:
            task = asyncio.create_task(self._ask(question), name="quotes")
            self._asking[question] = task
        if signal.may_add_exposure:
            self._waiting.setdefault(question, set()).add(situation.lane)
            return WAIT
        self._left.setdefault(question, []).append((signal, situation))
        return decision

    def _fresh(self, question: Question) -> _Answer | None:
        answer = self._answers.get(question)
        if answer is None:
            return None
        age_ms = self._clock.boottime_ms() - answer.at_ms
        return answer if age_ms <= self._timing.max_age_s * 1000 else None

    async def _ask(self, question: Question) -> None:
        legs = await self._prices(question)
        price = market_price(question, legs)
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[question] = _Answer(price, legs, self._clock.boottime_ms())
        del self._asking[question]
        if price is None:
            self._metrics.quotes_missing.add(question.broker)
            symbols = [listing.symbol for listing in question.listings]
            log.warning("market.no_quote", broker=question.broker, symbols=symbols)
        for signal, situation in self._left.pop(question, ()):
            seen = replace(situation, market_price=price)
            for alarm in exit_warnings(signal, seen, self._rules.switches):
                log.warning("decider.alarm", alarm=alarm)
        for lane in self._waiting.pop(question, ()):
            self._wake(lane)

    async def _prices(self, question: Question) -> Mapping[str, Decimal]:
        broker = self._broker_of(question.broker, question.account)
        if broker is None:
            return {}
        try:
            async with asyncio.timeout(self._timing.within_s):
                quotes = await broker.quotes(question.listings)
        except (TimeoutError, BrokerUnavailable):
            return {}
        except Exception:  # a quote is never worth a trade: whatever it was, entries go on
            log.exception("market.failed", broker=question.broker)
            return {}
        max_age = timedelta(seconds=self._timing.max_age_s)
        return leg_prices(question, quotes, self._clock.wall(), max_age)
