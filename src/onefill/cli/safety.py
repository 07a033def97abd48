"""`onefill end-safe`: a person's word that what the database lost is settled."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL


def end_safe(
    yes: Annotated[
        bool, typer.Option("--yes", help="You have compared with the brokers; trade again.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="Why; kept in the audit log.")] = "",
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Trade again after the database lost commits, or was replaced on purpose.

    SAFE ends by itself once the brokers' books explain every difference. Without --yes this only
    shows what is open.

    Examples:

        onefill end-safe

        onefill end-safe --yes --note "a new database for development"
    """
    from onefill.cli import output
    from onefill.cli.errors import Refused

    client = options.client(url)
    if not yes:
        loss = client.get("/api/status")["loss"]
        if loss is None:
            raise Refused("this instance is not SAFE")
        raise Refused(
            f"SAFE since {loss['noticed_at']}: {loss['found']}; compare `onefill reconcile --last` "
            "with the brokers, then repeat with --yes"
        )
    ended: dict[str, Any] = client.post("/api/ginie/end-safe", {"yes": True, "note": note})
    if as_json:
        output.print_json(ended)
        return
    for loss in ended["ended"]:
        output.console().print(f"Settled: {output.escaped(loss['found'])}.")
    output.console().print("[green]Trading goes on.[/]")
