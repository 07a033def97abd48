"""The prices of the venue: one for each source, and what follows from them."""

from __future__ import annotations

from decimal import Decimal

from onefill.core.errors import invariant
from onefill.venue.clock import VenueClock, moment
from onefill.venue.instruments import FIRST_PRICES, Instrument
from onefill.venue.matching import sides_of
from onefill.venue.pricing import on_tick, option_price


class Market:
    """Quotes every instrument from the prices of the sources."""

    def __init__(self, clock: VenueClock, volatility: Decimal, spread: Decimal) -> None:
        self._clock = clock
        self._prices = dict(FIRST_PRICES)
        self.volatility = volatility
        self.spread = spread

    def set_price(self, source: str, price: Decimal) -> None:
        """Move a source; everything that follows it moves too."""
        invariant(price > 0, "prices are positive", source=source, price=price)
        self._prices[source] = price

    def source_price(self, source: str) -> Decimal:
        """The last price of a source, in points."""
        return self._prices[source]

    def quote(self, instrument: Instrument) -> Decimal:
        """The middle price of an instrument now, in points, on its tick."""
        price = on_tick(self._prices[instrument.source], instrument.tick)
        price = max(price, instrument.tick)
        if instrument.option is None:
            return price
        now = moment(self._clock.now_us())
        return option_price(instrument.option, price, now, self.volatility, instrument.tick)

    def sides(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """What a seller gets and what a buyer pays now."""
        return sides_of(self.quote(instrument), self.spread)
