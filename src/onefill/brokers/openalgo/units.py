"""What an OpenAlgo server counts MCX quantities in: contracts once, units since September 2026.

Whoever mistakes the one for the other orders a hundred times too much. So the server's own lot size
of each contract is asked for before it is traded: 1 says that it counts contracts, the contract's
size that it counts units, and anything else is not traded at all (ORD-12).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from onefill.brokers.accounts import OpenAlgoAccount, QuantityUnit
from onefill.core.errors import ConfigurationError, invariant
from onefill.core.money import plain

MCX = "MCX"
REMEDY = (
    "Nothing is ordered there. Look at what the OpenAlgo server counts, units or contracts, and at "
    "units_per_lot of the instrument; set brokers.openalgo.mcx_quantity only if it does not tell."
)
_ROOT = re.compile(r"([A-Z]+?)\d{2}[A-Z]{3}\d{2}")
_GOOD_FOR_MS = 300_000
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class _Said:
    """The server's lot size of a symbol (None: it does not say), and when it was asked."""

    lot_size: Decimal | None
    at_ms: float


class UnitConverter:
    """Turns our units into what the server counts, and back; they may differ only on MCX."""

    def __init__(self, account: OpenAlgoAccount) -> None:
        self._declared = account.mcx_quantity
        self._units_per_contract = account.units_per_contract
        self._said: dict[str, _Said] = {}

    def is_asked_for(self, symbol: str, exchange: str, now_ms: float, *, to_order: bool) -> bool:
        """Whether the server's lot size is to be asked for, before the symbol is ordered or read.

        What others trade there, in contracts whose size we don't know, is read as it is written.
        """
        if exchange != MCX or not (to_order or self._size(symbol) is not None):
            return False
        said = self._said.get(symbol)
        return said is None or now_ms - said.at_ms >= _GOOD_FOR_MS

    def note(self, symbol: str, lot_size: Decimal | None, now_ms: float) -> None:
        """Take in what the server says; None: it does not say."""
        self._said[symbol] = _Said(lot_size, now_ms)

    def complaint(self, symbol: str, exchange: str) -> str | None:
        """Why it can't be told what the server counts this symbol in; None where it can."""
        if exchange != MCX or self._size(symbol) is None:
            return None
        lot_size = self._lot_size(symbol)
        told, declared = self._told(symbol), self._declared
        if lot_size is not None and told is None:
            return f"its lot of {symbol} is {plain(lot_size)}, which is neither 1 nor ours"
        if told is None and declared is QuantityUnit.AUTO:
            return f"it does not tell the lot size of {symbol}"
        if told is not None and declared not in (QuantityUnit.AUTO, told):
            return f"it counts {symbol} in {told}, and {declared} are configured"
        return None

    def to_wire(self, quantity: Decimal, symbol: str, exchange: str) -> Decimal:
        """The quantity as the server counts it. Raises ConfigurationError where that can't be
        told."""
        complaint = self.complaint(symbol, exchange)
        factor = self._factor(symbol, exchange) if complaint is None else None
        if factor is None:
            raise ConfigurationError(
                complaint or "the contract size of this MCX symbol is not configured",
                remedy=REMEDY,
                symbol=symbol,
            )
        invariant(quantity % factor == 0, "whole contracts are ordered", symbol=symbol, of=factor)
        return quantity / factor

    def from_wire(self, quantity: Decimal, symbol: str, exchange: str) -> Decimal | None:
        """The server's quantity in units; None where it can't be told."""
        if self.complaint(symbol, exchange) is not None:
            return None
        if exchange == MCX and self._size(symbol) is None:
            return quantity
        factor = self._factor(symbol, exchange)
        return None if factor is None else quantity * factor

    def _factor(self, symbol: str, exchange: str) -> Decimal | None:
        """Our units in one of the server's; None where it can't be told."""
        if exchange != MCX:
            return _ONE
        counted_in = self._told(symbol)
        if counted_in is None and self._declared is not QuantityUnit.AUTO:
            counted_in = self._declared
        if counted_in is QuantityUnit.UNITS:
            return _ONE
        return self._size(symbol) if counted_in is QuantityUnit.CONTRACTS else None

    def _told(self, symbol: str) -> QuantityUnit | None:
        """What the server's lot size says; None where it says nothing."""
        lot_size, size = self._lot_size(symbol), self._size(symbol)
        if lot_size is None:
            return None
        if size is None:
            return QuantityUnit.UNITS if lot_size > 1 else None
        if lot_size == size:
            return QuantityUnit.UNITS
        return QuantityUnit.CONTRACTS if lot_size == 1 else None

    def _lot_size(self, symbol: str) -> Decimal | None:
        said = self._said.get(symbol)
        return said.lot_size if said is not None else None

    def _size(self, symbol: str) -> Decimal | None:
        """Our units in one contract, where its root is configured."""
        root = _ROOT.match(symbol)
        return self._units_per_contract.get(root[1]) if root is not None else None
