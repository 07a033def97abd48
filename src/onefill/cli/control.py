"""`onefill take-control`, `release-control`, `history`, `instances`: who is active, and who was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onefill.cli import options, output
from onefill.cli.errors import Refused
from onefill.cli.look import INSTANCES
from onefill.cli.options import DEFAULT_URL
from onefill.cli.output import Column, Row, escaped, moment, state, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onefill.cli.client import Client

POLL_S = 0.1
LATE_S = 20.0
WIDTH = 60
_COLOURS = ("green", "cyan", "magenta", "yellow", "blue", "red")
_STEPS = {
    "requested": "requested",
    "ready": "this instance is ready",
    "draining": "the holder finishes what it sent",
    "drained": "everything sent has its answer",
    "transferred": "the lease has changed hands",
    "forced": "taken by force: the holder did not answer",
    "active": "ACTIVE - Trading",
    "failed": "failed",
}


def take_control(
    force: Annotated[
        bool, typer.Option("--force", help="Do not ask the holder: take control at once.")
    ] = False,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Make the instance at --url the active one, and show each step.

    The holder stops new work, finishes what it has sent, and hands over; when it does not answer
    within ten seconds, control is taken.

    Examples:

        onefill take-control --url http://127.0.0.1:8094

        onefill take-control --force
    """
    client = options.client(url)
    if not (force or as_json):
        _offer_force(client)
    answer: dict[str, Any] = client.post("/api/ginie/take-control", {"force": force})
    if force and not as_json and answer.get("operation_id"):
        output.console().print(f"[yellow]{escaped(answer['message'])}[/]")
    status = _followed(client, answer, quiet=as_json)
    if as_json:
        output.print_json({**answer, "status": status})
    elif answer.get("operation_id") is None:
        output.console().print(answer["message"])
    if not status["is_active"]:
        raise Refused(_why_not(status))


def release_control(
    yes: Annotated[
        bool, typer.Option("--yes", help="Even if there is no other: nobody is active then.")
    ] = False,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Hand control from the instance at --url to another one that lives.

    Examples:

        onefill release-control

        onefill release-control --yes
    """
    answer = options.client(url).post("/api/ginie/release-control", {"yes": yes})
    if as_json:
        output.print_json(answer)
    else:
        output.console().print(answer["message"])


def instances(
    *,
    stale: Annotated[
        float | None,
        typer.Option("--stale", min=0.001, help="Only those silent for so many seconds."),
    ] = None,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show all instances, and when each was last heard of.

    Examples:

        onefill instances

        onefill instances --stale 30
    """
    client = options.client(url)
    if stale is None:
        found = client.get("/coordinator/instances")
    else:
        found = client.get("/coordinator/stale-instances", timeout=stale)
    if as_json:
        output.print_json(found)
    elif not found["instances"]:
        output.console().print("None.")
    else:
        columns = INSTANCES if stale is None else STALE
        output.console().print(output.table("Instances", columns, found["instances"]))


def history(
    start: Annotated[
        str | None, typer.Option("--from", help="From this moment, as 2026-01-05T14:00:00Z.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until this moment.")] = None,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show who was active when, as a table and as a picture.

    Examples:

        onefill history

        onefill history --from 2026-01-05T14:00:00Z --to 2026-01-05T15:00:00Z
    """
    query = {"from": start, "to": end}
    found = options.client(url).get("/coordinator/history", **query)
    if as_json:
        output.print_json(found)
        return
    reigns: Sequence[Row] = found["history"]
    if not reigns:
        output.console().print("Nobody was active then.")
        return
    output.console().print(output.table("Who was active", HISTORY, reigns[-50:]))
    for line in timeline(reigns):
        output.console().print(line)


def _offer_force(client: Client) -> None:
    """Say so where the active instance has fallen silent: then nobody may answer (CTL-13)."""
    status = client.get("/api/ginie/instance-status")
    if status["other_stale"] and not status["is_active"]:
        who = escaped(status["active_instance"] or "the other instance")
        since = escaped(status["last_heartbeat"])
        output.console().print(
            f"[yellow]{who} was last heard of at {since}; --force takes control without asking.[/]"
        )


def _lasted(row: Row) -> str:
    seconds = int(row["duration_ms"]) / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


STALE = (
    Column("instance", text("instance")),
    Column("status", state("status")),
    Column("last heard", moment("last_heartbeat")),
    Column("silent for", lambda row: f"{row['stale_s']:.0f} s", right=True),
)
HISTORY = (
    Column("epoch", text("epoch"), right=True),
    Column("instance", text("instance")),
    Column("host", text("hostname")),
    Column("active from", moment("became_at")),
    Column("until", lambda row: moment("released_at")(row) or "[green]now[/]"),
    Column("lasted", _lasted, right=True),
    Column("came by", text("reason")),
    Column("ended by", text("end_reason")),
)


def timeline(reigns: Sequence[Row], width: int = WIDTH) -> list[str]:
    """A line for each instance, with a block wherever it was active."""
    from datetime import datetime

    spans = []
    for row in reigns:
        began = datetime.fromisoformat(row["became_at"])
        spans.append((row["instance"], began, began.timestamp() + row["duration_ms"] / 1000))
    first = min(began.timestamp() for _, began, _ in spans)
    last = max(until for _, _, until in spans)
    whole = max(last - first, 0.001)
    names = list(dict.fromkeys(name for name, _, _ in spans))
    lines = []
    for number, name in enumerate(names):
        cells = ["·"] * width
        for owner, began, until in spans:
            if owner == name:
                left = min(width - 1, int((began.timestamp() - first) / whole * width))
                right = max(left + 1, round((until - first) / whole * width))
                cells[left:right] = "█" * (min(right, width) - left)
        colour = _COLOURS[number % len(_COLOURS)]
        lines.append(f"{escaped(name):>12} [{colour}]{''.join(cells)}[/]")
    return lines


def _followed(client: Client, answer: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    import asyncio

    return asyncio.run(_follow(client, answer, quiet=quiet))


async def _follow(client: Client, answer: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Print each step of the takeover as it is taken, until its end; the status then."""
    from onefill.ports.clock import RealClock

    clock, shown = RealClock(), 0
    until_ms = clock.boottime_ms() + LATE_S * 1000
    while True:
        status: dict[str, Any] = client.get("/api/ginie/instance-status")
        operation = status["operation"] or {}
        steps = operation.get("steps", ()) if answer.get("operation_id") else ()
        for step in steps[shown:]:
            if not quiet:
                _print_step(step)
        shown = len(steps)
        # While the store does not answer, nothing is shown, which is no end.
        is_other = operation.get("id", answer.get("operation_id")) != answer.get("operation_id")
        ended = not answer.get("operation_id") or is_other or operation.get("ended", False)
        if ended or clock.boottime_ms() > until_ms:
            return status
        await clock.sleep(POLL_S)


def _print_step(step: Row) -> None:
    words = _STEPS.get(step["step"], step["step"])
    detail = f" ({escaped(step['detail'])})" if step.get("detail") else ""
    colour = {"active": "bold green", "failed": "bold red", "forced": "yellow"}.get(step["step"])
    said = f"[{colour}]{words}[/]" if colour else words
    output.console().print(f"[dim]{step['at'][11:23]}[/] {escaped(step['by'])}: {said}{detail}")


def _why_not(status: Row) -> str:
    steps = (status.get("operation") or {}).get("steps") or ()
    failed = [step["detail"] for step in steps if step["step"] == "failed" and step["detail"]]
    return failed[-1] if failed else f"{status['active_instance'] or 'nobody'} is active"
