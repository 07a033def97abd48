"""Decimal arithmetic for money, prices and quantities; binary floats are never accepted."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

ZERO = Decimal(0)
ONE_PAISA = Decimal("0.01")


def floor(value: Decimal) -> int:
    """The largest whole number that is not above the value."""
    return int(value.to_integral_value(rounding=ROUND_FLOOR))


def ceil(value: Decimal) -> int:
    """The smallest whole number that is not below the value."""
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def to_step(value: Decimal, step: Decimal) -> Decimal:
    """The value rounded towards zero to a multiple of the step (a tick or a lot)."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def percent_of(part: Decimal, whole: Decimal) -> Decimal:
    """part as a percentage of whole, and 0 where there is no whole."""
    return part / whole * 100 if whole > 0 else ZERO


def plain(value: Decimal) -> str:
    """The value in plain digits, without exponent and without needless zeros after the point."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def figures(**values: Decimal | int | str) -> dict[str, str]:
    """Values as plain strings, numbers to four places at most: what a decision shows of itself."""
    return {name: _figure(value) for name, value in values.items()}


def _figure(value: Decimal | int | str) -> str:
    return plain(round(value, 4)) if isinstance(value, Decimal) else str(value)
