"""`onefill replay`: recorded signals, one after the other, as if they came now. Source: SIG-20."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL

FileArgument = Annotated[
    Path, typer.Argument(help="TradingView's “List of trades” as CSV, or JSON lines of signals.")
]
StopOption = Annotated[str, typer.Option(help="Initial stop: 2% below the price, or points.")]
AtrOption = Annotated[str, typer.Option(help="ATR: a part of the price, or points.")]
LotsOption = Annotated[
    str, typer.Option(help="own: the engine sizes; file: the file's own lots, as they are.")
]
SpeedOption = Annotated[
    float, typer.Option(min=0, help="Signals a second at the most; 0: as fast as they end.")
]
VenueOption = Annotated[
    str | None,
    typer.Option(help="Paper venue that follows in price and clock (default: venue_url)."),
]
WaitOption = Annotated[
    str, typer.Option(help="executed: each ends before the next is sent; none: send all, then see.")
]
WhatIfOption = Annotated[
    bool,
    typer.Option("--what-if", help="Send nothing: rehearse the file in memory, and compare."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="With --what-if: a setting to try instead."),
]
SlippageOption = Annotated[
    str, typer.Option(help="With --what-if: points, or part of the price, lost on each fill.")
]
ChartOption = Annotated[
    Path | None, typer.Option(help="With --what-if: draw both equity curves into this PNG.")
]


def replay(
    file: FileArgument,
    *,
    portfolio: Annotated[str, typer.Option(help="The portfolio to replay into.")] = "replay",
    instrument: Annotated[str, typer.Option(help="What an export is of.")] = "BANK_NIFTY",
    stop: StopOption = "2%",
    atr: AtrOption = "1%",
    er: Annotated[float, typer.Option(min=0, max=1, help="Efficiency ratio.")] = 1.0,
    lots: LotsOption = "own",
    zone: Annotated[str, typer.Option(help="Where times are meant.")] = "Asia/Kolkata",
    speed: SpeedOption = 0.0,
    wait: WaitOption = "executed",
    venue_url: VenueOption = None,
    patience_s: Annotated[float, typer.Option("--patience", help="Give up after s.")] = 60.0,
    what_if: WhatIfOption = False,
    wanted: SetOption = None,
    slippage: SlippageOption = "0",
    chart: ChartOption = None,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Replay recorded signals in order, and tell what became of each.

    They go into a portfolio of their own, where freshness is judged by their own times. Run it
    again after an interruption: what was taken in before is recognised and not traded twice.

    Examples:

        onefill replay trades.csv --lots file --stop 2% --atr 1%

        onefill replay signals.jsonl --speed 5 --json

        onefill replay signals.jsonl --what-if --set peel_off=true --chart what-if.png
    """
    import asyncio

    from onefill.cli.replaying.run import Plan, run

    plan = Plan(
        file=file,
        portfolio=portfolio,
        instrument=instrument,
        stop=stop,
        atr=atr,
        er=str(er),
        lots=lots,
        zone=zone,
        speed=speed,
        wait=wait,
        venue_url=venue_url,
        patience_s=patience_s,
        url=url,
        as_json=as_json,
    )
    if what_if:
        from onefill.cli.replaying.what_if import WhatIf, compare

        compare(plan, WhatIf(wanted=tuple(wanted or ()), slippage=slippage, chart=chart))
        return
    asyncio.run(run(plan))
