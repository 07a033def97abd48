"""Options that several commands share, and what they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from onefill.cli.client import Client
    from onefill.config.load import Loaded
    from onefill.config.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8095"

Url = Annotated[
    str, typer.Option("--url", envvar="ONEFILL_URL", help="Address of a running instance.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (default: onefill.toml here, if there is one)."),
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="The profile of the file to lay over it.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many at the most.")]
Portfolio = Annotated[str | None, typer.Option("--portfolio", help="Only this portfolio.")]


def loaded(config: Path | None = None, profile: str | None = None, **options: object) -> Loaded:
    """The configuration with these options over it. Raises InvalidConfiguration."""
    from onefill.config.load import load

    return load(config, profile, options=options)


def client(url: str) -> Client:
    """A client with the operator's token, or else the viewer's, of the configuration."""
    from onefill.cli.client import Client

    settings = loaded().settings
    return Client(url, token=token_of(settings))


def token_of(settings: Settings) -> str:
    """The strongest token that there is."""
    operator = settings.operator_token.get_secret_value()
    return operator or settings.viewer_token.get_secret_value()
