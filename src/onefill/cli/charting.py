"""Curves of equity as pictures. Only the command imports this: no instance ever loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onefill.core.errors import OnefillError
from onefill.core.portfolio.statistics import EquityPoint

if TYPE_CHECKING:
    from onefill.cli.output import Row

_LINE, _LOSS = "#2563eb", "#dc2626"
_BESIDE = ("#6b7280", _LINE)
_MILLION = 1_000_000


class NoChartLibrary(OnefillError):
    """The library that draws is not installed."""

    remedy = "Install it: pip install 'onefill[chart]'."


def draw(curve: Row, file: Path) -> None:
    """Write closed equity over time and, below it, its drawdown. Raises NoChartLibrary."""
    times = [datetime.fromisoformat(point["at"]) for point in curve["points"]]
    equity = [float(point["equity"]) / _MILLION for point in curve["points"]]
    drawdown = [-float(point["drawdown_percent"]) for point in curve["points"]]
    figure, above, below = _sheet(f"{curve['portfolio']}: closed equity, ₹ million")
    above.axhline(float(curve["initial_capital"]) / _MILLION, color="#9ca3af", linewidth=0.8)
    above.step(times, equity, where="post", color=_LINE, linewidth=1.6)
    below.fill_between(times, drawdown, step="post", color=_LOSS, alpha=0.45, linewidth=0)
    figure.savefig(file, format="png")


def draw_beside(curves: Mapping[str, Sequence[EquityPoint]], file: Path) -> None:
    """Write several curves of equity over each other and, below them, their drawdowns.

    Raises NoChartLibrary.
    """
    figure, above, below = _sheet("closed equity, ₹ million")
    for (name, points), colour in zip(curves.items(), _BESIDE, strict=False):
        times = [point.at for point in points]
        equity = [float(point.equity) / _MILLION for point in points]
        drawdown = [-float(point.drawdown_percent) for point in points]
        above.step(times, equity, where="post", color=colour, linewidth=1.6, label=name)
        below.fill_between(times, drawdown, step="post", color=colour, alpha=0.35, linewidth=0)
    above.legend(frameon=False, loc="upper left")
    figure.savefig(file, format="png")


def _sheet(title: str) -> tuple[Any, Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NoChartLibrary from error
    figure = Figure(figsize=(11, 6.5), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _frame(above, title)
    _frame(below, "drawdown, %")
    return figure, above, below


def _frame(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(visible=True, color="#e5e7eb", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
