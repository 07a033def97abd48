"""The command `onefill`: its verbs, and how each ends."""

from __future__ import annotations

import sys

import typer

from onefill.cli import (
    configuration,
    control,
    doctor,
    exchange,
    look,
    migrate,
    money,
    reconciling,
    replay,
    safety,
    send,
    serve,
    settling,
    simulate,
    trading,
    why,
)
from onefill.cli.demo.verb import demo
from onefill.cli.errors import exit_code
from onefill.core.errors import OnefillError

INTERRUPTED = 130

app = typer.Typer(
    name="onefill",
    help="Every signal fills once: trading alerts become broker orders exactly once.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_RUN, _LOOK, _ACT, _CARE = "Run", "Look", "Act", "Set up and care"
app.command(rich_help_panel=_RUN)(demo)
app.command(rich_help_panel=_RUN)(serve.serve)
app.command(rich_help_panel=_RUN)(exchange.exchange)
app.command(rich_help_panel=_CARE)(simulate.simulate)
app.command(rich_help_panel=_ACT)(send.send)
app.command(rich_help_panel=_ACT)(replay.replay)
app.command(rich_help_panel=_ACT)(trading.pause)
app.command(rich_help_panel=_ACT)(trading.resume)
app.command("take-control", rich_help_panel=_ACT)(control.take_control)
app.command("release-control", rich_help_panel=_ACT)(control.release_control)
app.command("end-safe", rich_help_panel=_ACT)(safety.end_safe)
app.command(rich_help_panel=_ACT)(settling.resolve)
app.command(rich_help_panel=_ACT)(settling.unblock)
app.command(rich_help_panel=_ACT)(reconciling.reconcile)
app.command(rich_help_panel=_ACT)(money.close)
app.command(rich_help_panel=_LOOK)(look.status)
app.command(rich_help_panel=_LOOK)(control.instances)
app.command(rich_help_panel=_LOOK)(control.history)
app.command(rich_help_panel=_LOOK)(look.signals)
app.command(rich_help_panel=_LOOK)(look.positions)
app.command(rich_help_panel=_LOOK)(look.orders)
app.command(rich_help_panel=_LOOK)(why.why)
app.command(rich_help_panel=_LOOK)(money.statistics)
app.command(rich_help_panel=_LOOK)(money.chart)
app.command(rich_help_panel=_CARE)(doctor.doctor)
app.command(rich_help_panel=_CARE)(migrate.migrate)
app.add_typer(configuration.app, name="config", rich_help_panel=_CARE)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    if version:
        from onefill import __version__

        typer.echo(f"onefill {__version__}")
        raise typer.Exit


def main() -> None:
    """Run one command and leave with its exit code: 0 done, 1 refused, 2 usage, 3 unreachable."""
    try:
        app()
    except OnefillError as error:
        typer.secho(f"{error}", fg="red", err=True)
        typer.echo(error.remedy, err=True)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader had enough (`| head`); Python would complain once more while it ends.
        sys.stderr.close()
        sys.exit(0)
