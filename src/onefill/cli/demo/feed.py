"""A price feed: a walk of prices that looks random and is the same in each demonstration."""

from __future__ import annotations

import asyncio
import hashlib
from decimal import Decimal

from onefill.cli.client import Client
from onefill.cli.errors import Refused, Unreachable
from onefill.ports.clock import Clock

FIRST = {
    "BANK_NIFTY": Decimal("60000"),
    "GOLD_MINI": Decimal("78000"),
    "BTCUSDT": Decimal("60000"),
    "SIM001": Decimal("100"),
    "SIM002": Decimal("100"),
}
TICKS = {
    "BANK_NIFTY": Decimal("0.05"),
    "GOLD_MINI": Decimal(1),
    "BTCUSDT": Decimal("0.1"),
    "SIM001": Decimal("0.01"),
    "SIM002": Decimal("0.01"),
}
EVERY_S = 1.0
_STEP = Decimal("0.0012")
_DRIFT = Decimal("0.0004")
_TREND_STEPS = 45


def walked(symbol: str, price: Decimal, n: int) -> Decimal:
    """The price after its n-th step. Trends last, so that there is something to pyramid into."""
    digest = hashlib.sha256(f"{symbol} {n}".encode()).digest()
    chance = Decimal(int.from_bytes(digest[:4], "big")) / 2**31 - 1
    up = n // _TREND_STEPS % 3 != 2
    moved = price * (1 + chance * _STEP + (_DRIFT if up else -_DRIFT))
    tick = TICKS[symbol]
    return (moved / tick).to_integral_value() * tick


class Feed:
    """Pushes prices to the venue, and knows them."""

    def __init__(self, venue: Client, clock: Clock) -> None:
        self.prices = dict(FIRST)
        self._venue = venue
        self._clock = clock

    async def run(self) -> None:
        """Walk until cancelled; a venue that is away is tried again at the next step."""
        step = 0
        while True:
            step += 1
            for symbol, price in self.prices.items():
                self.prices[symbol] = walked(symbol, price, step)
            await asyncio.to_thread(self._push)
            await self._clock.sleep(EVERY_S)

    def _push(self) -> None:
        try:
            for symbol, price in self.prices.items():
                self._venue.post("/price", {"symbol": symbol, "price": price})
        except (Unreachable, Refused):
            return
