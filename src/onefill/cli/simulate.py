"""`onefill simulate`: the real loops in worlds full of faults, one for each seed. Source: Q-3."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from onefill.cli.errors import Refused, Usage

if TYPE_CHECKING:
    from onefill.sim.protections import Without
    from onefill.sim.world import Result, Scenario

SHOWN_MAX = 10
WORLDS_AT_ONCE = 8
"""So many are handed to a process together: less talk, and the progress still moves."""

_LEFT_TO_US = (signal.SIGINT, signal.SIG_IGN)
"""Ctrl-C reaches every process of a terminal; one answer to it is enough."""


class Class(StrEnum):
    """How the venue treats a repeated client order id."""

    A = "A"
    B = "B"
    C = "C"


class ModeChoice(StrEnum):
    """Who executes."""

    ACTIVE_ACTIVE = "active-active"
    ACTIVE_STANDBY = "active-standby"


SeedsOption = Annotated[int | None, typer.Option(min=1, help="How many worlds (default: 200).")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="The first seed; alone: this one world.")
]
TraceOption = Annotated[bool, typer.Option("--trace", help="Print all that happens.")]
ClassOption = Annotated[
    Class | None, typer.Option("--class", help="The venue's class (default: by seed).")
]
ModeOption = Annotated[
    ModeChoice | None, typer.Option("--mode", help="Who executes (default: by seed).")
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, help="Worlds side by side (default: as many as cores).")
]
WithoutOption = Annotated[
    str, typer.Option(help="Take protections away, by name with commas: is it noticed?")
]


def simulate(
    *,
    seeds: SeedsOption = None,
    seed: SeedOption = None,
    trace: TraceOption = False,
    order_class: ClassOption = None,
    mode: ModeOption = None,
    without: WithoutOption = "",
    processes: ProcessesOption = None,
) -> None:
    """Run simulated worlds: instances, a database and a venue, crashes, pauses and lost replies.

    Each is judged by what it wrote, sent and executed. The same seed is the same world.

    Examples:

        onefill simulate --seeds 1000

        onefill simulate --seed 8142 --trace

        onefill simulate --seeds 300 --class B --without lag
    """
    first = seed or 0
    count = seeds or (1 if seed is not None else 200)
    worlds = list(_scenarios(range(first, first + count), trace, order_class, mode, without))
    summary = _Summary()
    broken = 0
    for result in _with_progress(worlds, processes, quiet=trace):
        summary.add(result)
        if trace:
            typer.echo("\n".join(result.trace))
        if result.violations:
            broken += 1
            if broken <= SHOWN_MAX:
                _show(result)
    typer.echo(summary.text())
    if broken:
        raise Refused(
            f"{broken} of {count} worlds broke a promise",
            remedy="Look at one with the command after «Again», from its first JUDGE line up.",
        )


def _scenarios(
    seeds: Iterable[int],
    trace: bool,
    order_class: Class | None,
    mode: ModeChoice | None,
    without: str,
) -> Iterator[Scenario]:
    from onefill.ports.broker import OrderClass
    from onefill.sim.world import Scenario

    missing = _missing(without)
    for seed in seeds:
        yield Scenario(
            seed=seed,
            order_class=OrderClass(order_class.value) if order_class is not None else None,
            shared=None if mode is None else mode is ModeChoice.ACTIVE_ACTIVE,
            without=missing,
            traced=trace,
        )


def _missing(text: str) -> Without:
    from onefill.sim.protections import PURPOSE, Protection

    try:
        return frozenset(Protection(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as error:
        known = "; ".join(f"{name.value} ({purpose})" for name, purpose in PURPOSE.items())
        raise Usage(str(error), remedy=f"There are: {known}.") from error


def _with_progress(
    worlds: list[Scenario], processes: int | None, *, quiet: bool
) -> Iterator[Result]:
    from rich.progress import track

    from onefill.cli.output import errors

    with _results(worlds, processes) as results:
        yield from track(
            results,
            total=len(worlds),
            description="Simulating",
            console=errors(),
            disable=quiet,
        )


@contextmanager
def _results(worlds: list[Scenario], processes: int | None) -> Iterator[Iterator[Result]]:
    """What comes of each, in their order; a few worlds are not worth another process."""
    from onefill.sim.world import simulate as run

    wanted = processes or os.cpu_count() or 1
    workers = min(wanted, len(worlds) // WORLDS_AT_ONCE)
    if workers < 2:
        yield map(run, worlds)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, fresh, signal.signal, _LEFT_TO_US) as pool:
        try:
            yield pool.map(run, worlds, chunksize=WORLDS_AT_ONCE)
        finally:
            pool.shutdown(cancel_futures=True)


def _show(result: Result) -> None:
    kind = "active-active" if result.is_shared else "active-standby"
    typer.secho(
        f"seed {result.scenario.seed} (class {result.order_class.value}, {kind}):", fg="red"
    )
    for violation in result.violations:
        typer.echo(f"  {violation}")
    typer.echo(f"  Again: {result.again}")


class _Summary:
    """What all worlds came to."""

    def __init__(self) -> None:
        from onefill.ports.clock import RealClock

        self._clock = RealClock()
        self._began_ms = self._clock.boottime_ms()
        self._worlds = self._signals = self._orders = self._epochs = 0
        self._simulated_s = 0.0

    def add(self, result: Result) -> None:
        """Count one world."""
        self._worlds += 1
        self._signals += result.signals
        self._orders += result.orders
        self._epochs += result.epochs
        self._simulated_s += result.simulated_s

    def text(self) -> str:
        """One line."""
        took_s = max((self._clock.boottime_ms() - self._began_ms) / 1000, 0.001)
        return (
            f"{self._worlds} worlds: {self._signals} signals, {self._orders} orders, "
            f"{self._epochs} epochs; {self._simulated_s / 60:.0f} min simulated in {took_s:.0f} s "
            f"({self._worlds / took_s:.0f} worlds/s)."
        )
