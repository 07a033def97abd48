"""A progress bar on the error channel, so that results can be piped."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from onefill.cli.output import errors, escaped
from onefill.cli.replaying.step import Step


class Progress:
    """How far a replay has come. quiet: show nothing."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._bar = Bar(
            TextColumn("Replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=errors(),
            disable=quiet,
        )
        self._task = self._bar.add_task("", total=total)

    def step(self, step: Step) -> None:
        """One more is done."""
        about = f"[dim]{step.at:%Y-%m-%d} {escaped(step.kind)}[/]"
        self._bar.update(self._task, advance=1, description=about)

    def waits(self, why: str) -> None:
        """Nothing goes on just now."""
        self._bar.update(self._task, description=f"[yellow]waiting: {escaped(why)}[/]")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
