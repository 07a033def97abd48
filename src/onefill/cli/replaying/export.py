"""TradingView's “List of trades” export → steps.

One trade has two rows, its exit before its entry, and both carry the trade's size. The signal's
name tells the slot: `PYR1-…` is the first pyramid, `Long_2`; any other entry is the base. A trade
that is still open has an exit row named `Open`, at the last bar: nothing to replay. Which trades
are parts of one order is found in `matching`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from onefill.cli.fill_in import FillIn
from onefill.cli.replaying.matching import Entered, Part, entered_orders
from onefill.cli.replaying.step import Place, Step, Unreadable
from onefill.core.signal import BASE_SLOT

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


@dataclass(slots=True)
class Export:
    """What an export holds. still_open: trades without an end; skipped: what can't be replayed.

    orders: the entries that the trades are parts of.
    """

    steps: list[Step] = field(default_factory=list)
    filled_in: set[str] = field(default_factory=set)
    trades: int = 0
    orders: int = 0
    still_open: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_export(text: str, fill_in: FillIn, zone: ZoneInfo) -> Export:
    """Read an export's text. zone: where its times are meant. Raises Unreadable."""
    export = Export()
    trades: dict[str, list[Row]] = {}
    for row in _rows(text, zone, export):
        trades.setdefault(row.trade, []).append(row)
    parts = [part for trade, rows in trades.items() if (part := _part(export, trade, rows))]
    orders = entered_orders(parts)
    for order in orders:
        _add_order(export, order, fill_in)
    export.trades, export.orders = len(trades), len(orders)
    export.still_open = [p.trade for p in parts if p.exited_at is None]
    return export


def slot_of(signal: str) -> str:
    """The slot that an entry of this name opens: `PYR2-3L` is Long_3, any other Long_1."""
    match = _PYRAMID.match(signal)
    return f"Long_{int(match[1]) + 1}" if match else BASE_SLOT


def _part(export: Export, trade: str, rows: Sequence[Row]) -> Part | None:
    entry = next((row for row in rows if row.is_entry), None)
    if entry is None:
        export.skipped.append(f"trade {trade}: it has no entry")
        return None
    ends = (r for r in rows if not r.is_entry and r.signal.strip().lower() != STILL_OPEN)
    end = next(ends, None)
    return Part(
        trade=trade,
        slot=slot_of(entry.signal),
        signal=entry.signal,
        entered_at=entry.at,
        entry_price=entry.price,
        quantity=entry.quantity,
        exited_at=end.at if end else None,
        exit_price=end.price if end else entry.price,
        exit_signal=end.signal if end else "",
    )


def _add_order(export: Export, order: Entered, fill_in: FillIn) -> None:
    first, end = order.first, order.closed_by
    is_base = first.slot == BASE_SLOT
    common: dict[str, object] = {"instrument": fill_in.instrument, "position": first.slot}
    if fill_in.lots_from_file:
        common["lots"] = int(order.quantity)
    entry = Step(
        at=first.entered_at,
        place=Place.ENTRY if is_base else Place.PYRAMID,
        price=first.entry_price,
        body={
            **common,
            "type": "BASE_ENTRY" if is_base else "PYRAMID",
            "order_id": f"trade-{first.trade}-entry",
        },
    )
    export.steps.append(_completed(entry, export, fill_in))
    if end is None or end.exited_at is None:
        return
    leave = Step(
        at=end.exited_at,
        place=Place.EXIT if end.exited_at > first.entered_at else Place.EXIT_OF_SAME_MOMENT,
        price=end.exit_price,
        body={
            **common,
            "type": "EXIT",
            "order_id": f"trade-{first.trade}-exit",
            "reason": end.exit_signal,
        },
    )
    export.steps.append(_completed(leave, export, fill_in))


def _completed(step: Step, export: Export, fill_in: FillIn) -> Step:
    """The step with its price, its time, and what the options add."""
    assert step.price is not None
    body = {**step.body, "price": step.price, "timestamp": step.at.isoformat()}
    export.filled_in.update(fill_in.complete(body, step.price))
    return replace(step, body=body)


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
