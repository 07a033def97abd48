"""`onefill config …`: write, show, check and describe the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onefill.cli import options

app = typer.Typer(no_args_is_help=True, help="Write, show and check the settings.")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("onefill.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
) -> None:
    """Write a settings file in which every setting is explained.

    Examples:

        onefill config init

        onefill config init /etc/onefill/onefill.toml
    """
    from onefill.cli.errors import Refused
    from onefill.config.init import commented_file

    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(commented_file())
    except FileExistsError:
        raise Refused(f"{file} exists", remedy="Name another file, or use --force.") from None
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None
    typer.echo(f"Wrote {file}. Secrets belong in the environment; draw one with:")
    typer.echo('  python -c "import secrets; print(secrets.token_urlsafe(32))"')


@app.command()
def show(
    config: options.Config = None,
    profile: options.Profile = None,
    changed: Annotated[bool, typer.Option("--changed", help="Leave defaults out.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show every setting with its value and where that comes from; secrets are masked.

    Examples:

        onefill config show --changed

        onefill config show --profile production --json
    """
    from onefill.cli.output import Column, console, print_json, table, text
    from onefill.config.show import shown

    rows = [row for row in shown(options.loaded(config, profile)) if row.origin or not changed]
    if as_json:
        print_json(
            [{"key": r.key, "value": r.value, "origin": r.origin or "default"} for r in rows]
        )
        return
    columns = [Column(head, text(head), wraps=True) for head in ("key", "value", "origin")]
    as_rows = [{"key": r.key, "value": r.value, "origin": r.origin or "default"} for r in rows]
    console().print(table("Settings", columns, as_rows))


@app.command()
def check(config: options.Config = None, profile: options.Profile = None) -> None:
    """Tell everything that is wrong with the settings, at once; exit code 1 if anything is.

    Examples:

        onefill config check --config onefill.toml --profile production
    """
    from onefill.cli.output import console, escaped

    loaded = options.loaded(config, profile)
    for warning in loaded.warnings:
        console().print(f"[yellow]warning[/]: {escaped(warning)}")
    console().print(f"[green]OK[/]: {escaped(loaded.file or 'defaults and environment')}")


@app.command()
def reference() -> None:
    """Print the reference of all settings in Markdown, as in docs/configuration.md.

    Examples:

        onefill config reference > docs/configuration.md
    """
    from onefill.config.reference import reference as page

    typer.echo(page(), nl=False)
