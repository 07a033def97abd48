"""What Binance's clients read beside orders and positions: depth, day, leverage, fees."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from onefill.core.money import plain
from onefill.venue.binance.answers import LEVERAGE, MAINTENANCE, error, missing
from onefill.venue.clock import VenueClock
from onefill.venue.instruments import BINANCE_SYMBOLS, Instrument
from onefill.venue.market import Market
from onefill.venue.wire import Reply, Request, answer

Form = Mapping[str, str]

OFFERED = "1000000"
"""The quantity at the best bid and at the best ask: whatever is asked for fills."""
_DAY_MS = 24 * 60 * 60 * 1_000


class BinanceReference:
    """Answers what a client reads to know the venue: every account sees the same."""

    def __init__(self, market: Market, clock: VenueClock) -> None:
        self._market = market
        self._clock = clock

    def depth(self, request: Request) -> Reply:
        """The order book: one bid and one ask, for nothing rests here that others could take."""
        instrument = _named(request.form())
        if isinstance(instrument, Reply):
            return instrument
        bid, ask = self._market.sides(instrument)
        now_ms = self._clock.now_ms()
        bids, asks = ([[plain(price), OFFERED]] for price in (bid, ask))
        return answer(
            {"lastUpdateId": now_ms, "E": now_ms, "T": now_ms, "bids": bids, "asks": asks}
        )

    def day(self, request: Request) -> Reply:
        """A day's figures. Prices are not kept: the day began where it is now, without trades."""
        symbol = request.form().get("symbol")
        if symbol and symbol not in BINANCE_SYMBOLS:
            return error(-1121)
        rows = [self._day_row(name) for name in ([symbol] if symbol else BINANCE_SYMBOLS)]
        return answer(rows[0] if symbol else rows)

    def _day_row(self, symbol: str) -> dict[str, object]:
        price = plain(self._market.quote(BINANCE_SYMBOLS[symbol]))
        now_ms = self._clock.now_ms()
        prices = dict.fromkeys(
            ("weightedAvgPrice", "lastPrice", "openPrice", "highPrice", "lowPrice"), price
        )
        zeros = dict.fromkeys(
            ("priceChange", "priceChangePercent", "lastQty", "volume", "quoteVolume"), "0"
        )
        return {
            "symbol": symbol,
            **prices,
            **zeros,
            "openTime": now_ms - _DAY_MS,
            "closeTime": now_ms,
            "firstId": -1,
            "lastId": -1,
            "count": 0,
        }

    def brackets(self, _: str, form: Form) -> Reply:
        """Leverage by notional: one bracket without end, and nothing is ever liquidated."""
        symbol = form.get("symbol")
        if symbol and symbol not in BINANCE_SYMBOLS:
            return error(-1121)
        bracket = {
            "bracket": 1,
            "initialLeverage": LEVERAGE,
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": MAINTENANCE,
            "cum": Decimal("0.0"),
        }
        names = [symbol] if symbol else BINANCE_SYMBOLS
        return answer([{"symbol": name, "brackets": [bracket]} for name in names])

    def commission(self, _: str, form: Form) -> Reply:
        """What trading costs: nothing."""
        instrument = _named(form)
        if isinstance(instrument, Reply):
            return instrument
        rates = dict.fromkeys(
            ("makerCommissionRate", "takerCommissionRate", "rpiCommissionRate"), "0"
        )
        return answer({"symbol": instrument.symbol, **rates})


def _named(form: Form) -> Instrument | Reply:
    symbol = form.get("symbol")
    if not symbol:
        return missing("symbol")
    return BINANCE_SYMBOLS.get(symbol) or error(-1121)
