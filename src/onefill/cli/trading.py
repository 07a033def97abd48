"""`onefill pause` and `onefill resume`: the kill switch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL

Note = Annotated[str, typer.Option("--note", help="Why; kept in the audit log.")]


Everything = Annotated[
    bool, typer.Option("--all", help="Exits and stops as well: nothing at all is sent.")
]


def pause(
    everything: Everything = False,
    note: Note = "",
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Stop new exposure everywhere, at once and durably; exits and stops go on, but for --all.

    Examples:

        onefill pause --note "news at noon"
        onefill pause --all --note "the broker's book looks wrong"
    """
    _switch("pause", {"note": note, "exits": everything}, url, as_json)


def resume(note: Note = "", url: options.Url = DEFAULT_URL, as_json: options.Json = False) -> None:
    """Trade again after a pause.

    Examples:

        onefill resume
    """
    _switch("resume", {"note": note}, url, as_json)


def _switch(action: str, body: dict[str, object], url: str, as_json: bool) -> None:
    from onefill.cli import output

    answer: dict[str, Any] = options.client(url).post(f"/api/trading/{action}", body)
    if as_json:
        output.print_json(answer)
        return
    word = "[yellow]paused[/]" if answer.get("paused") else "[green]running[/]"
    word += ", exits and stops too" if answer.get("exits_paused") else ""
    was = "" if answer.get("changed", True) else " (as before)"
    output.console().print(f"Trading is {word}{was}.")
