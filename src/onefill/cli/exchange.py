"""`onefill exchange`: the paper venue, a program of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def exchange(
    *,
    data: Annotated[Path, typer.Option(help="Directory of the venue's ledger.")] = Path(
        "data/venue"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 9100,
    broker_class: Annotated[
        str,
        typer.Option(
            "--class", help="A: ids unique for ever, B: among open orders, C: not at all."
        ),
    ] = "B",
    lag_ms: Annotated[
        int, typer.Option("--lag", min=0, help="ms after which an order shows in look-ups.")
    ] = 300,
    seed: Annotated[
        int | None, typer.Option(help="Starts a random walk of prices, the same for a seed.")
    ] = None,
    bars: Annotated[Path | None, typer.Option(help="CSV of bars that drives the prices.")] = None,
    bar_ms: Annotated[int, typer.Option(min=1, help="ms between two bars or steps.")] = 1000,
    rates: Annotated[
        bool, typer.Option("--rates", help="Turn away what is above the real brokers' rates.")
    ] = False,
) -> None:
    """Run the paper venue, which speaks Binance's and OpenAlgo's dialects.

    It outlives the instances; its ledger tells for certain what was ever executed.

    Examples:

        onefill exchange

        onefill exchange --port 9100 --data venue --class C --seed 7
    """
    from onefill.cli.errors import Usage
    from onefill.venue.app import run
    from onefill.venue.options import BrokerClass, VenueOptions

    try:
        chosen = BrokerClass(broker_class.upper())
    except ValueError as error:
        raise Usage(f"--class is A, B or C, not {broker_class!r}") from error
    run(
        VenueOptions(
            data=data,
            host=host,
            port=port,
            broker_class=chosen,
            lag_ms=lag_ms,
            seed=seed,
            bars=bars,
            bar_ms=bar_ms,
            rates=rates,
        )
    )
