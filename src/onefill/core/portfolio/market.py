"""What the market is asked before a signal is decided, and the price in its answer. SIG-18."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from onefill.core.book import Situation, TimeBasis
from onefill.core.instrument import Rules
from onefill.core.portfolio.contracts import choose_contract
from onefill.core.portfolio.legs import new_legs
from onefill.core.position import CALL, PUT, Leg
from onefill.core.quote import Listing, Quote
from onefill.core.signal import Engine, Signal, SignalKind

_ASKED = frozenset({SignalKind.BASE_ENTRY, SignalKind.PYRAMID, SignalKind.EXIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The quotes that make up one market price. strike: of a synthetic's legs, else None.

    symbols: by the leg's name.
    """

    broker: str
    account: str
    symbols: tuple[tuple[str, Listing], ...]
    strike: int | None = None

    @property
    def listings(self) -> list[Listing]:
        """What to ask the broker for."""
        return [listing for _, listing in self.symbols]


def question_of(signal: Signal, situation: Situation, rules: Rules) -> Question | None:
    """What to ask for this signal: the contract that an entry would buy, or that an exit sells.

    None for signals whose price is not compared with the market's, and for replays: their market
    was another day's.
    """
    instrument = rules.instruments.get(signal.instrument)
    is_asked = signal.engine is Engine.PORTFOLIO and signal.kind in _ASKED
    by_the_clock = situation.account.time_basis is TimeBasis.NOW
    if instrument is None or signal.price is None or not (is_asked and by_the_clock):
        return None
    if signal.kind is SignalKind.EXIT:
        held = next((position for position in situation.here if position.legs), None)
        return _question(held.legs, held.strike) if held is not None else None
    today = situation.now.astimezone(ZoneInfo(instrument.zone)).date()
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    contract = choose_contract(instrument, today, signal.price, holidays, situation.series)
    return _question(new_legs(instrument, contract, 1, rules), contract.strike)


def leg_prices(
    question: Question, quotes: Mapping[str, Quote], now: datetime, max_age: timedelta
) -> Mapping[str, Decimal]:
    """Each symbol's price, half way between bid and ask.

    now: our wall clock, as the quotes'. Empty where a quote is missing or older than max_age.
    """
    mids: dict[str, Decimal] = {}
    for _, listing in question.symbols:
        quote = quotes.get(listing.symbol)
        if quote is None or now - quote.at > max_age:
            return {}
        mids[listing.symbol] = quote.mid
    return mids


def market_price(question: Question, prices: Mapping[str, Decimal]) -> Decimal | None:
    """The price in points: of a synthetic strike + call − put. None where a leg has none."""
    mids = {name: prices[listing.symbol] for name, listing in question.symbols if prices}
    if question.strike is None:
        return next(iter(mids.values()), None)
    if CALL not in mids or PUT not in mids:
        return None
    return question.strike + mids[CALL] - mids[PUT]


def _question(legs: tuple[Leg, ...], strike: int | None) -> Question:
    return Question(
        broker=legs[0].broker,
        account=legs[0].account,
        symbols=tuple((leg.name, Listing(leg.symbol, leg.exchange)) for leg in legs),
        strike=strike,
    )
