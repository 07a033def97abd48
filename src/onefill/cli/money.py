"""`onefill statistics`, `chart` and `close`: what was earned, and ending a position by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onefill.cli import options, output
from onefill.cli.options import DEFAULT_URL
from onefill.cli.output import Column, Row, escaped, grouped, money, text

_PORTFOLIO = "main"
STATISTICS = (
    Column("instrument", text("instrument")),
    Column("trades", text("trades"), right=True),
    Column("open", text("open_trades"), right=True),
    Column("won %", money("win_rate_percent"), right=True),
    Column("profit ₹", money("profit"), right=True),
    Column("costs ₹", money("costs"), right=True),
    Column("average win", money("average_win"), right=True),
    Column("average loss", money("average_loss"), right=True),
    Column("profit factor", money("profit_factor"), right=True),
    Column("expectancy R", money("expectancy_r"), right=True),
    Column("drawdown %", money("drawdown_max_percent"), right=True),
    Column("exposure %", money("exposure_percent"), right=True),
)


def statistics(
    portfolio: options.Portfolio = None,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show how well a portfolio trades: by instrument, and in total.

    Examples:

        onefill statistics

        onefill statistics --portfolio replay --json
    """
    name = portfolio or _PORTFOLIO
    report = options.client(url).get("/api/statistics", portfolio=name)
    if as_json:
        output.print_json(report)
        return
    rows = [{"instrument": key, **figures} for key, figures in report["figures"].items()]
    output.console().print(output.table(f"Statistics of {escaped(name)}", STATISTICS, rows))


def chart(
    file: Annotated[Path, typer.Argument(help="The PNG to write.")] = Path("equity.png"),
    portfolio: options.Portfolio = None,
    url: options.Url = DEFAULT_URL,
) -> None:
    """Draw a portfolio's closed equity and its drawdown into a PNG file.

    Needs the extra `chart`: pip install 'onefill[chart]'.

    Examples:

        onefill chart

        onefill chart replay.png --portfolio replay
    """
    from onefill.cli.charting import draw

    curve = options.client(url).get("/api/equity", portfolio=portfolio or _PORTFOLIO)
    draw(curve, file)
    output.console().print(f"{escaped(file)}: {_summary(curve)}")


def close(
    position_id: Annotated[str, typer.Argument(help="See `onefill positions --json`.")],
    note: Annotated[str, typer.Option("--note", help="Why; kept with the exit.")] = "",
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Close a position at market.

    Examples:

        onefill close p7k2m9x0qz4d8r5w --note "news at noon"
    """
    answer: dict[str, Any] = options.client(url).post(
        f"/api/positions/{position_id}/close", {"note": note}
    )
    if as_json:
        output.print_json(answer)
        return
    output.console().print(
        f"Closing {escaped(position_id)}: signal {answer['signal_id']}; "
        f"see `onefill signals` for what becomes of it."
    )


def _summary(curve: Row) -> str:
    points = curve["points"]
    deepest = max((float(point["drawdown_percent"]) for point in points), default=0.0)
    return (
        f"{len(points)} points, from ₹{grouped(curve['initial_capital'], 0)} "
        f"to ₹{grouped(curve['closed_equity'], 0)}, deepest drawdown {deepest:.2f} %"
    )
