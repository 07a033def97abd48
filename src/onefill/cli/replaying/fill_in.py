"""The fields that an export lacks: they come from options, and the report says so."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in points, as they are or as a percentage of the price."""

    value: Decimal
    is_percent: bool

    @classmethod
    def parse(cls, written: str) -> Distance:
        """From `2%` or `350`. Raises ValueError."""
        text = written.strip()
        value = Decimal(text.removesuffix("%")) if _is_number(text.removesuffix("%")) else None
        if value is None or value < 0:
            raise ValueError(f"{written!r} is neither points (350) nor a part of the price (2%)")
        return cls(value, text.endswith("%"))

    def of(self, price: Decimal) -> Decimal:
        """The distance in points at this price, to a hundredth."""
        points = price * self.value / 100 if self.is_percent else self.value
        return points.quantize(_HUNDREDTH)

    def __str__(self) -> str:
        return f"{self.value}{'%' if self.is_percent else ' points'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillIn:
    """What is filled in. lots_from_file: the file's own sizes count, not the engine's rules."""

    portfolio: str
    instrument: str
    stop: Distance
    atr: Distance
    er: Decimal
    lots_from_file: bool

    def complete(self, body: dict[str, object], price: Decimal | None) -> list[str]:
        """Add to a portfolio signal what it lacks; the names of what was added."""
        lacking: dict[str, object] = {
            "instrument": self.instrument,
            "er": self.er,
            "lots": 1,
            "position": "Long_1",
        }
        if price is not None:
            stop = price - self.stop.of(price)
            lacking |= {"atr": self.atr.of(price), "stop": stop, "supertrend": stop}
        if body.get("type") == "EXIT":
            lacking |= {"position": "ALL", "reason": "replayed"}
        added = [name for name in lacking if body.get(name) is None]
        body |= {name: lacking[name] for name in added}
        body["portfolio"] = self.portfolio
        return added


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
