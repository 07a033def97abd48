"""`onefill migrate`: bring the database to this version's tables."""

from __future__ import annotations

from onefill.cli import options
from onefill.cli.errors import Usage


def migrate(config: options.Config = None, profile: options.Profile = None) -> None:
    """Apply what is missing of the database's migrations; again is harmless.

    An instance does so by itself when it starts.

    Examples:

        ONEFILL_DATABASE_URL=postgresql://… onefill migrate
    """
    import asyncio

    from onefill.cli.output import console

    url = options.loaded(config, profile).settings.database.url.get_secret_value()
    if not url:
        raise Usage(
            "no database.url is set",
            remedy="Set ONEFILL_DATABASE_URL; the embedded database migrates when it starts.",
        )
    from onefill.postgres.migrate import migrate as apply

    for name in asyncio.run(apply(url)):
        console().print(f"applied {name}")
    console().print("[green]The database has this version's tables.[/]")
