"""`onefill why`: the whole way of one signal, on one page."""

from __future__ import annotations

from typing import Annotated

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL


def why(
    signal_id: Annotated[int, typer.Argument(min=1, help="See `onefill signals`.")],
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Tell why a signal did or did not trade: received, decided with its numbers, sent, filled.

    Examples:

        onefill why 4211
    """
    from onefill.cli import output

    told = options.client(url).get(f"/api/signals/{signal_id}/why")
    if as_json:
        output.print_json(told)
        return
    console = output.console()
    console.print(f"[bold]Signal {signal_id}[/]: {output.coloured(told['status'])}")
    console.print(output.escaped(told["answer"]))
    for line in told["lines"]:
        console.print(f"  {output.escaped(line)}")
