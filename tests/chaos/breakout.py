"""A simple breakout strategy on recorded bars: what a sender would have said, bar by bar."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

INDIA = ZoneInfo("Asia/Kolkata")
BAR_MINUTES = 75
ENTER_OVER, LEAVE_UNDER, ATR_BARS = 20, 10, 14
BARS_A_DAY, DAYS_A_MONTH, SATURDAY = 5, 20, 5
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Bar:
    """One bar; `at` is its close."""

    at: datetime
    high: Decimal
    low: Decimal
    close: Decimal


def read_bars(file: Path) -> list[Bar]:
    """75-minute bars of a file of one-minute bars, the last of a day cut at its end."""
    grouped: dict[tuple[str, int], list[dict[str, str]]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            hours, minutes = row["Time"].split(":")[:2]
            since_open = int(hours) * 60 + int(minutes) - (9 * 60 + 15)
            if 0 <= since_open < 5 * BAR_MINUTES:
                grouped.setdefault((row["Date"], since_open // BAR_MINUTES), []).append(row)
    return [_bar(day, number, rows) for (day, number), rows in sorted(grouped.items())]


def _bar(day: str, number: int, rows: Sequence[dict[str, str]]) -> Bar:
    opens = datetime.strptime(f"{day} 09:15", "%Y%m%d %H:%M").replace(tzinfo=INDIA)
    return Bar(
        at=opens + timedelta(minutes=BAR_MINUTES * (number + 1)),
        high=max(Decimal(row["High"]) for row in rows),
        low=min(Decimal(row["Low"]) for row in rows),
        close=Decimal(rows[-1]["Close"]),
    )


def made_up_bars(seed: int) -> list[Bar]:
    """A year of such bars that nobody recorded: weekdays, trends of some weeks, and noise."""
    chance = random.Random(seed)
    bars, price, drift = list[Bar](), 48_000.0, 0.0
    for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(366)):
        if day.weekday() >= SATURDAY:
            continue
        if chance.random() < 1 / 15:
            drift = chance.uniform(-40, 55)
        for number in range(BARS_A_DAY):
            opened = price
            price = max(30_000.0, price + chance.gauss(drift, 90))
            edges = [chance.uniform(0, 80) for _ in range(2)]
            at = datetime.combine(day, time(9, 15), INDIA)
            bars.append(
                Bar(
                    at=at + timedelta(minutes=BAR_MINUTES * (number + 1)),
                    high=_paise(max(opened, price) + edges[0]),
                    low=_paise(min(opened, price) - edges[1]),
                    close=_paise(price),
                )
            )
    return bars


def _paise(price: float) -> Decimal:
    return Decimal(str(round(price * 20) / 20)).quantize(_CENT)


@dataclass
class Breakout:
    """Long over the highest of twenty closes, out under the lowest of ten or for the weekend."""

    entries: list[Decimal] = field(default_factory=list)

    def signals(self, bars: Sequence[Bar]) -> Iterator[dict[str, object]]:
        """One signal a bar, as a webhook's body without its secret."""
        for n in range(ENTER_OVER, len(bars)):
            seen, bar = bars[: n + 1], bars[n]
            last = n + 1 == len(bars) or bars[n + 1].at.isocalendar()[1] != bar.at.isocalendar()[1]
            yield self._signal(seen, bar, ends_week=last)

    def _signal(self, seen: Sequence[Bar], bar: Bar, *, ends_week: bool) -> dict[str, object]:
        closes, atr = [each.close for each in seen], _atr(seen)
        body = _body(bar, atr, closes)
        if self.entries and (ends_week or bar.close < min(closes[-LEAVE_UNDER - 1 : -1])):
            self.entries.clear()
            reason = "week" if ends_week else "trend over"
            return body | {"type": "EXIT", "position": "ALL", "reason": reason}
        if not self.entries and not ends_week and bar.close > max(closes[-ENTER_OVER - 1 : -1]):
            self.entries.append(bar.close)
            return body | {"type": "BASE_ENTRY", "position": "Long_1"}
        if 0 < len(self.entries) < 4 and bar.close > self.entries[-1] + atr * 3 / 4:
            self.entries.append(bar.close)
            return body | {"type": "PYRAMID", "position": f"Long_{len(self.entries)}"}
        return {key: body[key] for key in ("instrument", "price", "atr", "supertrend")} | {
            "type": "MARKET_DATA",
            "timestamp": body["timestamp"],
        }


def _body(bar: Bar, atr: Decimal, closes: Sequence[Decimal]) -> dict[str, object]:
    moved = abs(closes[-1] - closes[-11])
    walked = sum(abs(a - b) for a, b in zip(closes[-10:], closes[-11:-1], strict=True))
    stop = bar.close - atr * 3 / 2
    return {
        "instrument": "BANK_NIFTY",
        "price": str(bar.close),
        "stop": str(stop.quantize(_CENT)),
        "atr": str(atr),
        "er": str((moved / walked).quantize(_CENT) if walked else 0),
        "lots": 1,
        "supertrend": str(stop.quantize(_CENT)),
        "timestamp": bar.at.isoformat(),
    }


def _atr(seen: Sequence[Bar]) -> Decimal:
    ranges = [
        max(bar.high, before.close) - min(bar.low, before.close)
        for before, bar in zip(seen[-ATR_BARS - 1 : -1], seen[-ATR_BARS:], strict=True)
    ]
    return (sum(ranges, Decimal(0)) / len(ranges)).quantize(_CENT)


def write_signals(bars: Sequence[Bar], file: Path) -> int:
    """Write a recording for `onefill replay`; how many signals it has."""
    return _write(Breakout().signals(bars), file)


def write_held(bars: Sequence[Bar], file: Path) -> int:
    """The same of somebody who looks at the day's last bar, and holds on: whatever is held has to
    roll each month. Its lots are its own."""
    return _write(_held([*bars[BARS_A_DAY - 1 :: BARS_A_DAY]]), file)


def _held(days: Sequence[Bar]) -> Iterator[dict[str, object]]:
    """A base from the first day on, a pyramid in some months, out of it in others."""
    far = Decimal(3000)
    for n, bar in enumerate(days):
        body = _body(bar, far, [bar.close] * 11) | {"lots": 3, "stop": str(bar.close * 4 / 5)}
        month, day = divmod(n, DAYS_A_MONTH)
        if n == 0:
            yield body | {"type": "BASE_ENTRY", "position": "Long_1"}
        elif day == 3 and month % 3 < 2:
            yield body | {"type": "PYRAMID", "position": f"Long_{2 + month % 3}"}
        elif day == 9 and month % 3 == 2:
            slot = f"Long_{2 + month % 2}"
            yield body | {"type": "EXIT", "position": slot, "reason": "enough"}
        else:
            yield {key: body[key] for key in ("instrument", "price", "atr", "supertrend")} | {
                "type": "MARKET_DATA",
                "timestamp": body["timestamp"],
            }


def _write(signals: Iterator[dict[str, object]], file: Path) -> int:
    lines = [json.dumps(signal) for signal in signals]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)
