"""TradingView's “List of trades” export → steps.

One trade has two rows, its exit before its entry, and both carry the trade's size. The signal's
name tells the slot: `PYR1-…` is the first pyramid, `Long_2`; any other entry is the base. A trade
that is still open has an exit row named `Open`, at the last bar: nothing to replay.

TradingView matches exits to entries first in, first out, and splits an entry that was closed in
parts into several trades. Each row is replayed; the first part carries the size of the whole
order, and the engine refuses the others, as their slot is taken.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from onefill.cli.fill_in import FillIn
from onefill.cli.replaying.step import Place, Step, Unreadable

COLUMNS: Mapping[str, re.Pattern[str]] = {
    "trade": re.compile(r"trade (#|number|no\.?)"),
    "type": re.compile(r"type"),
    "at": re.compile(r"date(/| and )time|date"),
    "signal": re.compile(r"signal"),
    "price": re.compile(r"price( [a-z]{3,5})?"),
    "quantity": re.compile(r"(position )?size \(qty\)|contracts|quantity|qty"),
}
"""The columns that are read, by name: their order, and currencies in their names, vary."""
STILL_OPEN = "open"
_PYRAMID = re.compile(r"PYR(?:AMID)?[ _-]?(\d)", re.IGNORECASE)
_FORMS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the export."""

    line: int
    trade: str
    is_entry: bool
    signal: str
    at: datetime
    price: Decimal
    quantity: Decimal

    @property
    def order(self) -> tuple[str, datetime]:
        """What the parts of one order have in common."""
        return self.signal, self.at


@dataclass(slots=True)
class Export:
    """What an export holds. still_open: trades without an end; skipped: what can't be replayed.

    sizes: the lots of each entry order, by its name and time; parts: rows that repeat one.
    """

    steps: list[Step] = field(default_factory=list)
    filled_in: set[str] = field(default_factory=set)
    trades: int = 0
    parts: int = 0
    sizes: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    still_open: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_export(text: str, fill_in: FillIn, zone: ZoneInfo) -> Export:
    """Read an export's text. zone: where its times are meant. Raises Unreadable."""
    export = Export()
    trades: dict[str, list[Row]] = {}
    for row in _rows(text, zone, export):
        trades.setdefault(row.trade, []).append(row)
        if row.is_entry:
            export.parts += row.order in export.sizes
            export.sizes[row.order] += int(row.quantity)
    for trade, rows in trades.items():
        _add_trade(export, trade, rows, fill_in)
    export.trades = len(trades)
    return export


def slot_of(signal: str) -> str:
    """The slot that an entry of this name opens: `PYR2-3L` is Long_3, any other Long_1."""
    match = _PYRAMID.match(signal)
    return f"Long_{int(match[1]) + 1}" if match else "Long_1"


def _add_trade(export: Export, trade: str, rows: Sequence[Row], fill_in: FillIn) -> None:
    entry = next((row for row in rows if row.is_entry), None)
    if entry is None:
        export.skipped.append(f"trade {trade}: it has no entry")
        return
    slot = slot_of(entry.signal)
    is_base = slot == "Long_1"
    place = Place.ENTRY if is_base else Place.PYRAMID
    kind = "BASE_ENTRY" if is_base else "PYRAMID"
    export.steps.append(_step(export, entry, fill_in, kind=kind, place=place, slot=slot))
    for row in rows:
        if row.is_entry:
            continue
        if row.signal.strip().lower() == STILL_OPEN:
            export.still_open.append(trade)
            continue
        place = Place.EXIT if row.at > entry.at else Place.EXIT_OF_SAME_MOMENT
        export.steps.append(_step(export, row, fill_in, kind="EXIT", place=place, slot=slot))


def _step(export: Export, row: Row, fill_in: FillIn, *, kind: str, place: Place, slot: str) -> Step:
    body: dict[str, object] = {
        "type": kind,
        "instrument": fill_in.instrument,
        "position": slot,
        "price": row.price,
        "timestamp": row.at.isoformat(),
        # Two equal signals of one second are two trades; a second replay is none.
        "order_id": f"trade-{row.trade}-{'exit' if kind == 'EXIT' else 'entry'}",
    }
    if kind == "EXIT":
        body["reason"] = row.signal
    if fill_in.lots_from_file:
        body["lots"] = export.sizes[row.order] if row.is_entry else int(row.quantity)
    export.filled_in.update(fill_in.complete(body, row.price))
    return Step(at=row.at, place=place, price=row.price, body=body)


def _rows(text: str, zone: ZoneInfo, export: Export) -> Iterator[Row]:
    reader = csv.reader(text.removeprefix("\ufeff").splitlines())
    columns = _columns(next(reader, []))
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num
        try:
            got = {name: cells[place].strip() for name, place in columns.items()}
        except IndexError:
            raise Unreadable(f"line {line} has too few columns") from None
        kind = got["type"].lower()
        if "short" in kind:
            export.skipped.append(f"line {line}: {got['type']}, and the portfolio engine buys only")
        elif kind.startswith(("entry", "exit")):
            yield _row(line, got, zone)
        else:
            raise Unreadable(f"line {line}: {got['type']!r} is neither an entry nor an exit")


def _columns(head: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in head]
    found = {
        wanted: place
        for wanted, pattern in COLUMNS.items()
        for place, name in enumerate(names)
        if pattern.fullmatch(name)
    }
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise Unreadable(f"the first line names no column for: {', '.join(missing)}")
    return found


def _row(line: int, got: Mapping[str, str], zone: ZoneInfo) -> Row:
    try:
        return Row(
            line=line,
            trade=got["trade"],
            is_entry=got["type"].lower().startswith("entry"),
            signal=got["signal"],
            at=_moment(got["at"], zone),
            price=_number(got["price"]),
            quantity=_number(got["quantity"]),
        )
    except (InvalidOperation, ValueError) as error:
        raise Unreadable(f"line {line} can't be read: {error}") from None


def _moment(text: str, zone: ZoneInfo) -> datetime:
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a time")


def _number(text: str) -> Decimal:
    number = Decimal(text.replace(",", "").replace("\u202f", ""))
    if not number.is_finite() or number <= 0:
        raise ValueError(f"{text!r} is not a number above 0")
    return number
