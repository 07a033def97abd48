"""The fields of a portfolio signal that its source lacks: they come from options."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from onefill.cli.errors import Usage

_HUNDREDTH = Decimal("0.01")
_SLOTS = {"BASE_ENTRY": "Long_1", "PYRAMID": "Long_2", "EXIT": "ALL"}


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in points, as they are or as a percentage of the price."""

    value: Decimal
    is_percent: bool

    @classmethod
    def parse(cls, written: str) -> Distance:
        """From `2%` or `350`. Raises Usage."""
        text = written.strip()
        number = text.removesuffix("%")
        if not number.replace(".", "", 1).isdigit():
            raise Usage(f"{written!r} is neither points (350) nor a part of the price (2%)")
        return cls(Decimal(number), text.endswith("%"))

    def of(self, price: Decimal) -> Decimal:
        """The distance in points at this price, to a hundredth."""
        points = price * self.value / 100 if self.is_percent else self.value
        return points.quantize(_HUNDREDTH)

    def __str__(self) -> str:
        return f"{self.value}{'%' if self.is_percent else ' points'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillIn:
    """What is filled in. lots_from_file: a recording's own sizes count, not the engine's rules."""

    portfolio: str
    instrument: str
    stop: Distance
    atr: Distance
    er: Decimal
    lots: int = 1
    reason: str = "replayed"
    lots_from_file: bool = False

    def complete(self, body: dict[str, object], price: Decimal | None) -> list[str]:
        """Add to a portfolio signal what it lacks; the names of what was added."""
        lacking = {"instrument": self.instrument, **self._prices(price)}
        if body.get("type") != "MARKET_DATA":
            slot = _SLOTS.get(str(body.get("type")), "Long_1")
            lacking |= {"er": self.er, "lots": self.lots, "position": slot}
        if body.get("type") == "EXIT":
            lacking["reason"] = self.reason
        added = [name for name in lacking if body.get(name) is None]
        body |= {name: lacking[name] for name in added}
        body["portfolio"] = self.portfolio
        return added

    def _prices(self, price: Decimal | None) -> dict[str, object]:
        if price is None:
            return {}
        stop = price - self.stop.of(price)
        return {"atr": self.atr.of(price), "stop": stop, "supertrend": stop}
