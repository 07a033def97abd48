"""The market's price: asked beside decisions, waited for by entries, never by exits."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast

import pytest

from makers import RULES, Store, d, logged, portfolio_signal, situation
from manual_clock import ManualClock
from onefill.core.book import Decision, TimeBasis
from onefill.core.decide import decide
from onefill.core.errors import BrokerUnavailable
from onefill.core.ids import Lane
from onefill.core.instrument import Rules, Switches
from onefill.core.portfolio.market import leg_prices, market_price, question_of
from onefill.core.quote import Listing, Quote
from onefill.core.signal import LoggedSignal, SignalKind, SignalStatus
from onefill.flow.market import Market, QuoteTiming
from onefill.ports.broker import Broker
from onefill.ports.metrics import Metrics
from support import until

ENTRY = logged(portfolio_signal(SignalKind.BASE_ENTRY))
CALL, PUT = "BANKNIFTY30DEC2552000CE", "BANKNIFTY30DEC2552000PE"
STRICT = replace(RULES, switches=Switches(needs_quote=True))


class Desk:
    """A broker's quotes, and a decider before them. gate: answers wait for it."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.clock = ManualClock()
        self.prices: dict[str, Decimal] = {CALL: d(900), PUT: d(880)}
        self.asked: list[list[str]] = []
        self.woken: list[Lane] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.age = timedelta(0)
        self.metrics = Metrics()
        market = Market(
            broker_of=lambda name, account: cast(Broker, self),
            rules=rules,
            wake=self.woken.append,
            timing=QuoteTiming(within_s=0.3, max_age_s=2),
            metrics=self.metrics,
            clock=self.clock,
        )
        self.decide = market.knowing(partial(decide, rules=rules))

    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        self.asked.append([listing.symbol for listing in listings])
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        at = self.clock.wall() - self.age
        return {name: quote(price, at) for name, price in self.prices.items()}

    async def answered(self, signal: LoggedSignal = ENTRY) -> Decision:
        """The decision once the broker has answered, or has not."""
        assert self.decide(signal, situation()).wait
        self.gate.set()
        await until(lambda: self.woken)
        return self.decide(signal, situation())


def quote(price: Decimal, at: datetime) -> Quote:
    return Quote(bid=price - 1, ask=price + 1, last=price + 40, at=at)


@pytest.mark.req("SIG-18")
async def test_an_entry_waits_for_the_price_of_the_contract_that_it_would_buy() -> None:
    desk = Desk()
    assert desk.decide(ENTRY, situation()).wait
    assert desk.decide(ENTRY, situation()).wait
    await until(lambda: desk.asked)
    assert desk.asked == [[CALL, PUT]]
    assert (await desk.answered()).status is SignalStatus.DECIDED
    assert desk.woken == [ENTRY.signal.lane]
    assert len(desk.asked) == 1


@pytest.mark.req("SIG-18")
async def test_a_price_too_far_away_is_refused_with_its_numbers() -> None:
    desk = Desk()
    desk.prices[CALL] = d(2_000)  # the market is at 53120
    decision = await desk.answered()
    assert (decision.status, decision.reason) == (SignalStatus.REJECTED, "price_divergence")
    assert decision.numbers["market_price"] == "53120"


@pytest.mark.req("SIG-18")
@pytest.mark.parametrize("trouble", ["silent", "away", "broken", "stale", "one leg"])
@pytest.mark.parametrize("rules", [RULES, STRICT])
async def test_without_a_price_an_entry_goes_on_or_not_as_set_and_it_is_counted(
    trouble: str, rules: Rules
) -> None:
    desk = Desk(rules)
    match trouble:
        case "away":
            desk.error = BrokerUnavailable()
        case "broken":
            desk.error = KeyError("ltp")
        case "stale":
            desk.age = timedelta(seconds=3)
        case "one leg":
            del desk.prices[PUT]
    if trouble == "silent":
        assert desk.decide(ENTRY, situation()).wait
        await until(lambda: desk.woken)
        decision = desk.decide(ENTRY, situation())
    else:
        decision = await desk.answered()
    reason = "no_quote" if rules is STRICT else None
    assert (decision.reason, bool(decision.intents)) == (reason, rules is RULES)
    assert desk.metrics.quotes_missing.values == {("openalgo",): 1}


@pytest.mark.req("SIG-18", "PF-12")
async def test_an_exit_goes_ahead_unasked_and_is_told_of_afterwards(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(STRICT)
    store = Store(situation())
    for intent in store.write(decide(ENTRY, store.seen(), RULES), 1).intents:
        store.claim(intent)
        store.fill(intent, 500)
    fields: dict[str, Any] = {"price": d(53_000), "reason": "over"}
    exit_ = logged(portfolio_signal(SignalKind.EXIT, "ALL", **fields), 2)
    decision = desk.decide(exit_, store.seen())
    assert (len(decision.intents), decision.wait) == (2, False)
    desk.gate.set()
    await until(lambda: "exit goes ahead" in capsys.readouterr().out + caplog.text)


@pytest.mark.req("SIG-18")
async def test_a_price_is_good_for_a_moment_only() -> None:
    desk = Desk()
    await desk.answered()
    await desk.clock.advance(1.9)
    assert not desk.decide(ENTRY, situation()).wait
    await desk.clock.advance(0.2)
    assert desk.decide(ENTRY, situation()).wait


@pytest.mark.req("SIG-18", "SIG-20")
def test_nothing_is_asked_where_prices_are_not_compared() -> None:
    bar = portfolio_signal(SignalKind.MARKET_DATA, None)
    assert question_of(bar, situation(), RULES) is None
    replay = replace(situation().account, time_basis=TimeBasis.SIGNAL)
    assert question_of(ENTRY.signal, situation(account=replay), RULES) is None
    gold = portfolio_signal(SignalKind.BASE_ENTRY, instrument="GOLD_MINI", price=d(78_000))
    question = question_of(gold, situation("GOLD_MINI"), RULES)
    assert question is not None
    (listing,) = question.listings
    now = ManualClock().wall()
    quotes = {listing.symbol: quote(d(78_010), now)}
    prices = leg_prices(question, quotes, now, timedelta(seconds=1))
    assert market_price(question, prices) == 78_010
