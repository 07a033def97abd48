"""JSON lines of signals → steps; each line is a body as a sender would post it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from onefill.cli.fill_in import FillIn
from onefill.cli.replaying.step import Place, Step, Unreadable
from onefill.core.intake.signal_time import signal_time


@dataclass(slots=True)
class Lines:
    """What the lines hold, and which fields were filled in."""

    steps: list[Step] = field(default_factory=list)
    filled_in: set[str] = field(default_factory=set)


def read_lines(text: str, fill_in: FillIn, zone: ZoneInfo) -> Lines:
    """Read JSON lines. zone: where times without one are meant. Raises Unreadable."""
    lines = Lines()
    for number, body in _bodies(text):
        moment = signal_time(body.get("timestamp"), zone, None)
        if isinstance(moment, str):
            raise Unreadable(f"line {number}: timestamp {moment}")
        lines.steps.append(_step(lines, body, moment, fill_in))
    return lines


def _bodies(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            body = json.loads(line, parse_float=Decimal, parse_int=Decimal)
        except ValueError as error:
            raise Unreadable(f"line {number} is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise Unreadable(f"line {number} is not a JSON object")
        body.pop("secret", None)
        yield number, body


def _step(lines: Lines, body: dict[str, Any], moment: datetime, fill_in: FillIn) -> Step:
    price = _price(body)
    kind = str(body.get("type", "")).upper()
    if kind:
        body["type"] = kind
        lines.filled_in.update(fill_in.complete(body, price))
    else:
        body["portfolio"] = fill_in.portfolio
    return Step(at=moment, place=_place(kind, body), price=price, body=body)


def _place(kind: str, body: dict[str, Any]) -> Place:
    if kind == "EXIT" or str(body.get("action", "")).lower() == "close":
        return Place.EXIT
    return Place.PYRAMID if kind == "PYRAMID" else Place.ENTRY


def _price(body: dict[str, Any]) -> Decimal | None:
    try:
        price = Decimal(str(body["price"]))
    except (KeyError, InvalidOperation):
        return None
    return price if price.is_finite() and price > 0 else None
