"""`onefill serve`: one instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onefill.cli import options
from onefill.cli.errors import Usage


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    instance_id: Annotated[
        str | None, typer.Option(help="The name of this instance, its own among all.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory for the embedded database and local files.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="all, intake (never executes) or executor.")
    ] = None,
    config: options.Config = None,
    profile: options.Profile = None,
) -> None:
    """Take in signals and execute them, until stopped.

    Settings come from onefill.toml, the environment (ONEFILL_…) and these options; the later win.

    Examples:

        onefill serve

        onefill serve --instance-id prod --port 8095 --data /var/lib/onefill

        ONEFILL_DATABASE_URL=postgresql://… onefill serve --role intake
    """
    if config is not None and not config.is_file():
        raise Usage(f"{config} is not a file", remedy="`onefill config init` writes one.")
    loaded = options.loaded(
        config, profile, host=host, port=port, instance_id=instance_id, data=data, role=role
    )
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    from onefill.wiring import serve as run

    raise typer.Exit(run(loaded.settings))
