"""What a replay came to, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onefill.cli import output
from onefill.cli.fill_in import FillIn
from onefill.cli.look import portfolio_line
from onefill.cli.output import Column, escaped, grouped, state, text
from onefill.cli.replaying.step import Step
from onefill.cli.replaying.tally import Tally

OUTCOMES = (
    Column("kind", text("kind")),
    Column("status", state("status")),
    Column("reason", text("reason"), wraps=True),
    Column("count", text("count"), right=True),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds, in the order of its replay. filled_in: the fields it lacks."""

    steps: Sequence[Step]
    filled_in: Sequence[str]
    trades: int = 0
    orders: int = 0
    still_open: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that is told at the end."""

    recording: Recording
    fill_in: FillIn
    tally: Tally
    positions: Sequence[Mapping[str, Any]]
    portfolio: Mapping[str, Any]


def tell(report: Report, *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        output.print_json(_document(report))
        return
    console, tally = output.console(), report.tally
    console.print(output.table(f"{tally.total} signals", OUTCOMES, tally.as_rows()))
    states = ", ".join(f"{count} {output.coloured(name)}" for name, count in tally.orders.items())
    console.print(f"Orders: {states or 'none'}. Known from before: {tally.duplicates}.")
    profit = grouped(report.portfolio.get("realised"), 0)
    console.print(f"Realised ₹{profit}; {len(report.positions)} positions are open.")
    console.print(portfolio_line(report.portfolio))
    for line in notes(report.recording, report.fill_in):
        console.print(f"[dim]{escaped(line)}[/]")


def notes(recording: Recording, fill_in: FillIn) -> list[str]:
    """What a reader must know of where the figures come from."""
    lines = []
    if recording.filled_in:
        lines.append(
            f"Not in the file, from options: {', '.join(recording.filled_in)} "
            f"(stop {fill_in.stop} below the price, atr {fill_in.atr}, er {fill_in.er})."
        )
    sizes = "the file's own lots" if fill_in.lots_from_file else "the engine's rules"
    lines.append(f"Sizes are {sizes}.")
    if recording.orders < recording.trades:
        lines.append(
            f"The export's {recording.trades} trades are parts of {recording.orders} entries: it "
            "matches exits to entries first in, first out; their sizes tell which ended when."
        )
    if recording.still_open:
        numbers = _listed(recording.still_open)
        lines.append(f"Still open in the file, so without an exit: trade {numbers}")
    if recording.skipped:
        lines.append(f"Left out: {_listed(recording.skipped)}")
    return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return "; ".join(names[:5]) + more


def _document(report: Report) -> dict[str, object]:
    return {
        "signals": report.tally.total,
        "duplicates": report.tally.duplicates,
        "outcomes": report.tally.as_rows(),
        "orders": dict(report.tally.orders),
        "positions": report.positions,
        "portfolio": report.portfolio,
        "notes": notes(report.recording, report.fill_in),
    }
