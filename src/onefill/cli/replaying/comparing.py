"""What rehearsals of one recording came to, beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from onefill.cli import output
from onefill.cli.fill_in import Distance, FillIn
from onefill.cli.output import Column, escaped, grouped, text
from onefill.cli.replaying.report import Recording, notes
from onefill.core.money import plain
from onefill.core.portfolio.equity import unrealised
from onefill.core.portfolio.statistics import (
    ALL_INSTRUMENTS,
    EquityPoint,
    Statistics,
    equity_curve,
    statistics,
)
from onefill.core.rehearsal import Rehearsal, Rehearsed

DIFFERENCES_SHOWN = 8
_MADE_UP = (
    "Rehearsed in memory by the code that decides live: each order fills at once at its signal's "
    "price{slips}; accounts' hard limits and brokers' refusals are left out."
)


@dataclass
class Side:
    """One rehearsal. decided: at least one. invalid: why signals were not taken in."""

    name: str
    rehearsal: Rehearsal
    decided: Sequence[Rehearsed]
    invalid: Sequence[str] = ()

    @cached_property
    def figures(self) -> Statistics:
        """How well it traded."""
        now = self.decided[-1].logged.signal.time
        capital = self.rehearsal.account.initial_capital
        return statistics(self.rehearsal.trades, (), capital, now)[ALL_INSTRUMENTS]

    @property
    def curve(self) -> list[EquityPoint]:
        """Closed equity, from the first signal on."""
        capital = self.rehearsal.account.initial_capital
        start = EquityPoint(
            at=self.decided[0].logged.signal.time,
            equity=capital,
            drawdown=Decimal(0),
            drawdown_percent=Decimal(0),
        )
        return [start, *equity_curve(self.rehearsal.trades, (), capital)]

    @property
    def outcomes(self) -> Counter[tuple[str, str, str]]:
        """Signals by kind, status, and what refused or limited them."""
        ends = Counter((r.logged.signal.kind.value, r.status.value, _why(r)) for r in self.decided)
        ends.update(("?", "invalid", why) for why in self.invalid)
        return ends

    @property
    def summary(self) -> dict[str, object]:
        """The figures that are compared, by their names for people; amounts in rupees."""
        figures, account = self.figures, self.rehearsal.account
        return {
            "trades": figures.trades,
            "still open": figures.open_trades,
            "lots bought": sum(each.lots for each in self.decided),
            "won %": figures.win_rate_percent,
            "profit ₹": figures.profit,
            "profit factor": figures.profit_factor,
            "expectancy R": figures.expectancy_r,
            "deepest drawdown ₹": figures.drawdown_max,
            "deepest drawdown %": figures.drawdown_max_percent,
            "closed equity ₹": account.closed_equity,
            "unrealised ₹": unrealised(self.rehearsal.positions),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One or two sides over the same recording. slips: lost on each fill."""

    sides: tuple[Side, ...]
    wanted: tuple[str, ...]
    recording: Recording
    fill_in: FillIn
    slips: Distance

    @property
    def pairs(self) -> Iterator[tuple[Rehearsed, ...]]:
        """What became of each signal, side by side."""
        return zip(*(side.decided for side in self.sides), strict=True)

    @property
    def differing(self) -> list[tuple[Rehearsed, ...]]:
        """The signals that were decided otherwise."""
        return [pair for pair in self.pairs if len(set(map(_said, pair))) > 1]

    @property
    def notes(self) -> list[str]:
        """What a reader must know of where the figures come from."""
        slips = f", less {self.slips} that slip" if self.slips.value else ""
        return [_MADE_UP.format(slips=slips), *notes(self.recording, self.fill_in)]


def tell(comparison: Comparison, *, as_json: bool, chart: Path | None = None) -> None:
    """Print the comparison."""
    if as_json:
        output.print_json(_document(comparison))
        return
    console, sides = output.console(), comparison.sides
    heads = tuple(Column(escaped(s.name), _cell(s.name), right=True) for s in sides)
    if comparison.wanted:
        console.print(f"What if: {escaped(', '.join(comparison.wanted))}")
    title = f"{len(sides[0].decided)} signals"
    rows = _beside([side.summary for side in sides], sides)
    console.print(output.table(title, (Column("", text("what")), *heads), rows))
    whys = sorted({key for side in sides for key in side.outcomes})
    counts = [{side.name: side.outcomes[key] for side in sides} for key in whys]
    named = (dict(zip(("kind", "status", "why"), key, strict=True)) for key in whys)
    ends = [{**name, **count} for name, count in zip(named, counts, strict=True)]
    columns = [Column(head, text(head)) for head in ("kind", "status", "why")]
    console.print(output.table("What became of them", (*columns, *heads), ends))
    for line in (*_differences(comparison), *comparison.notes):
        console.print(f"[dim]{escaped(line)}[/]")
    if chart is not None:
        console.print(f"Drawn: {escaped(chart)}")


def _why(rehearsed: Rehearsed) -> str:
    if rehearsed.reason is not None:
        return rehearsed.reason
    return f"sized by {rehearsed.limiter}" if rehearsed.limiter else ""


def _said(rehearsed: Rehearsed) -> tuple[str, str | None, int, str | None]:
    return rehearsed.status.value, rehearsed.reason, rehearsed.lots, rehearsed.limiter


def _beside(summaries: Sequence[Mapping[str, object]], sides: Sequence[Side]) -> list[output.Row]:
    return [
        {"what": name, **{s.name: each[name] for s, each in zip(sides, summaries, strict=True)}}
        for name in summaries[0]
    ]


def _cell(name: str) -> output.Cell:
    return lambda row: "–" if row.get(name) is None else grouped(row[name])


def _differences(comparison: Comparison) -> Iterator[str]:
    if len(comparison.sides) == 1:
        return
    differing = comparison.differing
    total = len(comparison.sides[0].decided)
    yield f"{len(differing)} of {total} signals end otherwise" + (":" if differing else ".")
    for pair in differing[:DIFFERENCES_SHOWN]:
        signal = pair[0].logged.signal
        slot = f" {signal.position}" if signal.position else ""
        ends = " → ".join(_ended(each) for each in pair)
        yield f"  {signal.time:%Y-%m-%d %H:%M} {signal.kind}{slot}: {ends}"


def _ended(rehearsed: Rehearsed) -> str:
    lots = f"{rehearsed.lots} lots, " if rehearsed.lots else ""
    return f"{lots}{_why(rehearsed) or rehearsed.status.value}"


def _document(comparison: Comparison) -> dict[str, object]:
    return {
        "set": list(comparison.wanted),
        "sides": [
            {
                "name": side.name,
                "summary": side.summary,
                "outcomes": [[*key, count] for key, count in sorted(side.outcomes.items())],
            }
            for side in comparison.sides
        ],
        "differing": len(comparison.differing),
        "signals": [_signal(pair) for pair in comparison.pairs],
        "notes": comparison.notes,
    }


def _signal(pair: Sequence[Rehearsed]) -> dict[str, object]:
    logged = pair[0].logged
    ends = [dict(zip(("status", "reason", "lots", "limiter"), _said(r), strict=True)) for r in pair]
    return {
        "fingerprint": logged.fingerprint.hex(),
        "time": logged.signal.time.isoformat(),
        "kind": logged.signal.kind.value,
        "position": logged.signal.position,
        "price": None if logged.signal.price is None else plain(logged.signal.price),
        "ends": ends,
    }
