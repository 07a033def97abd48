"""The verb `demo` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onefill.cli.demo.duration import seconds

For = Annotated[str | None, typer.Option("--for", help="End by itself after 60s, 5m … .")]
KillEvery = Annotated[
    str | None, typer.Option("--kill-every", help="Kill the active one with SIGKILL, as 30s … .")
]
TakeoverCount = Annotated[
    int | None,
    typer.Option(min=1, help="Let the standby take control so many times, then end."),
]
Data = Annotated[Path | None, typer.Option(help="Keep everything here (default: thrown away).")]


def demo(
    *,
    for_: For = None,
    kill_every: KillEvery = None,
    takeovers: TakeoverCount = None,
    data: Data = None,
    port: Annotated[int, typer.Option(help="Port of prod, the active instance.")] = 8095,
    dev_port: Annotated[int, typer.Option(help="Port of dev, the standby.")] = 8094,
    venue_port: Annotated[int, typer.Option(help="Port of the paper venue.")] = 9100,
) -> None:
    """Show onefill at work: a database, a paper venue, two instances, signals arriving.

    Nothing leaves this machine. Ctrl-C stops all. Kill instances as often as you like: the
    summary compares the venue's ledger with the signal log.

    Examples:

        onefill demo

        onefill demo --for 60s --kill-every 15s

        onefill demo --takeovers 10
    """
    import asyncio

    from onefill.cli.demo.show import Wishes, show

    wishes = Wishes(
        data=data,
        port=port,
        dev_port=dev_port,
        venue_port=venue_port,
        run_s=seconds(for_) if for_ else None,
        kill_every_s=seconds(kill_every) if kill_every else None,
        takeovers=takeovers,
    )
    raise typer.Exit(asyncio.run(show(wishes)))
