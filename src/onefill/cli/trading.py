"""`onefill pause` and `onefill resume`: the kill switch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL

Note = Annotated[str, typer.Option("--note", help="Why; kept in the audit log.")]


def pause(note: Note = "", url: options.Url = DEFAULT_URL, as_json: options.Json = False) -> None:
    """Stop new exposure everywhere, at once and durably; exits and stops go on.

    Examples:

        onefill pause --note "news at noon"
    """
    _switch("pause", note, url, as_json)


def resume(note: Note = "", url: options.Url = DEFAULT_URL, as_json: options.Json = False) -> None:
    """Trade again after a pause.

    Examples:

        onefill resume
    """
    _switch("resume", note, url, as_json)


def _switch(action: str, note: str, url: str, as_json: bool) -> None:
    from onefill.cli import output

    answer: dict[str, Any] = options.client(url).post(f"/api/trading/{action}", {"note": note})
    if as_json:
        output.print_json(answer)
        return
    word = "[yellow]paused[/]" if answer.get("paused") else "[green]running[/]"
    was = "" if answer.get("changed", True) else " (as before)"
    output.console().print(f"Trading is {word}{was}.")
