"""`onefill doctor`: everything that must be right before money depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from onefill.cli import options
from onefill.cli.errors import REFUSED

if TYPE_CHECKING:
    from onefill.cli.doctoring.finding import Finding
    from onefill.config.settings import Settings


def doctor(
    config: options.Config = None, profile: options.Profile = None, as_json: options.Json = False
) -> None:
    """Check configuration, database, Redis, venues, clocks, secrets, ports and disk.

    Each finding comes with its remedy; exit code 1 if anything fails.

    Examples:

        onefill doctor

        onefill doctor --profile production --json
    """
    import asyncio
    from dataclasses import asdict

    from onefill.cli import output
    from onefill.cli.doctoring.finding import Grade, fail, ok, warn
    from onefill.config.problems import InvalidConfiguration

    try:
        loaded = options.loaded(config, profile)
    except InvalidConfiguration as error:
        findings = [fail(each.field, each.problem, each.remedy) for each in error.problems]
    else:
        findings = [ok("configuration", str(loaded.file or "defaults and environment"))]
        findings += [warn("configuration", each, "See above.") for each in loaded.warnings]
        findings += asyncio.run(_examine(loaded.settings))
    if as_json:
        output.print_json([asdict(each) for each in findings])
    else:
        _print(findings)
    if any(each.grade is Grade.FAIL for each in findings):
        raise typer.Exit(REFUSED)


async def _examine(settings: Settings) -> list[Finding]:
    from onefill.cli.doctoring.database import database
    from onefill.cli.doctoring.logins import logins
    from onefill.cli.doctoring.machine import machine
    from onefill.cli.doctoring.redis import redis
    from onefill.cli.doctoring.secrecy import secrecy
    from onefill.cli.doctoring.venues import venues
    from onefill.config.settings import Topology
    from onefill.ports.clock import RealClock

    clock = RealClock()
    url, pooled = settings.database.url.get_secret_value(), settings.database.pooled
    found: list[Finding] = []
    if settings.topology is Topology.SHARED_DATABASE:
        found += [finding async for finding in database(url, clock, pooled)]
    found += [finding async for finding in redis(settings, clock)]
    found += [finding async for finding in logins(settings, clock)]
    return [*found, *venues(settings, clock), *secrecy(settings), *machine(settings)]


def _print(findings: list[Finding]) -> None:
    from onefill.cli.output import Column, console, state, table, text

    columns = (
        Column("", state("grade")),
        Column("what", text("subject")),
        Column("found", text("found"), wraps=True),
        Column("remedy", text("remedy"), wraps=True),
    )
    rows = [
        {"grade": str(f.grade), "subject": f.subject, "found": f.found, "remedy": f.remedy}
        for f in findings
    ]
    console().print(table("Doctor", columns, rows))
