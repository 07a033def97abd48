"""One world: made from a seed, run to its end, judged."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import CRITICAL, DEBUG
from typing import Any

import structlog

from onefill.core.ids import Epoch
from onefill.ports.broker import OrderClass
from onefill.ports.lease import Holder
from onefill.sim.chance import stream
from onefill.sim.database import Database
from onefill.sim.faults import FAULTS_S, Faults, Hiccups, Targets
from onefill.sim.judge import Judge, Violation
from onefill.sim.loop import Timeline
from onefill.sim.machine import Machine
from onefill.sim.neighbours import Bus
from onefill.sim.protections import EVERYTHING, Protection, Without
from onefill.sim.venue import Venue
from onefill.sim.verdict import is_settled, judge_end
from onefill.sim.wire import Link, Weather
from onefill.sim.workload import Sender, alerts

NAMES = ("prod", "dev", "spare")
HEALING_S = 90.0
LOOK_EVERY_S = 0.1
VENUE_DELAY_S = 0.002

Note = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Which world. order_class, shared None: by seed. shared: active-active, where all execute.

    traced: whether a trace is kept.
    """

    seed: int
    order_class: OrderClass | None = None
    shared: bool | None = None
    without: Without = EVERYTHING
    traced: bool = False


@dataclass(slots=True)
class Result:
    """What came of it."""

    scenario: Scenario
    order_class: OrderClass
    is_shared: bool
    violations: list[Violation]
    trace: list[str] = field(default_factory=list)
    signals: int = 0
    orders: int = 0
    epochs: int = 0
    simulated_s: float = 0.0

    @property
    def again(self) -> str:
        """The command that shows it again."""
        scenario, words = self.scenario, ["onefill simulate --seed", str(self.scenario.seed)]
        if scenario.order_class is not None:
            words += ["--class", scenario.order_class.value]
        if scenario.shared is not None:
            words += ["--mode", "active-active" if scenario.shared else "active-standby"]
        if scenario.without:
            words += ["--without", ",".join(sorted(scenario.without))]
        return " ".join((*words, "--trace"))


class World:
    """Machines, a database, a venue, a sender, and all that goes wrong between them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.trace: list[str] = []
        self.timeline = Timeline()
        seed = scenario.seed
        chance = stream(seed, "world")
        drawn = chance.choice(list(OrderClass))
        self.order_class = scenario.order_class or drawn
        note = self._note if scenario.traced else _no_note
        self.judge = Judge(self.timeline, note, self._ambush)
        self.database = Database(
            self.timeline,
            self.judge,
            has_fence=Protection.FENCE not in scenario.without,
            has_bar=Protection.BAR not in scenario.without,
        )
        self.judge.database = self.database
        self.venue = Venue(
            self.timeline,
            stream(seed, "venue"),
            self.order_class,
            self.judge,
            skew_s=chance.uniform(-3, 3),
        )
        self.hiccups = Hiccups(stream(seed, "hiccups"))
        self.bus = Bus(self.timeline, stream(seed, "bus"))
        self.is_shared = chance.random() < 0.5 if scenario.shared is None else scenario.shared
        count = chance.choice((1, 2, 2, 3))
        self.machines = [self._machine(number, note) for number in range(count)]
        self.judge.control.trust = self._trust
        self.sender = Sender(self.timeline, stream(seed, "sender"), self.machines)
        self._is_over = False
        self._faults: Faults | None = None

    def run(self) -> Result:
        """Let it happen, and judge it."""
        seed = self.scenario.seed
        for alert in alerts(stream(seed, "signals")):
            self.sender.schedule(alert)
        starts = stream(seed, "starts")
        for machine in self.machines:
            self.timeline.at(starts.random() * 0.2, machine.start)
        targets = Targets(
            self.timeline,
            self.machines,
            self.database,
            self.venue,
            self.bus,
            self.hiccups,
            self._note if self.scenario.traced else _no_note,
        )
        self._faults = Faults(stream(seed, "faults"), targets)
        self._faults.schedule()
        self.timeline.at(FAULTS_S + LOOK_EVERY_S, self._look)
        self.timeline.run(FAULTS_S + HEALING_S, lambda: self._is_over)
        judge_end(self.judge, self.database, self.venue, self.machines, self.sender)
        result = Result(
            scenario=self.scenario,
            order_class=self.order_class,
            is_shared=self.is_shared,
            violations=list(self.judge.violations),
            trace=list(self.trace),
            signals=len(self.database.tables.signals),
            orders=len(self.venue.orders),
            epochs=self.judge.control.epochs,
            simulated_s=self.timeline.now_s,
        )
        for machine in self.machines:
            machine.bury()
        return result

    def note_log(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        """A processor of structlog: its lines join the trace."""
        what = event.pop("event", "")
        event.pop("exc_info", None)
        facts = " ".join(f"{name}={value}" for name, value in sorted(event.items()))
        self._note("log", f"{what} {facts}")
        raise structlog.DropEvent

    def _machine(self, number: int, note: Note) -> Machine:
        seed, name = self.scenario.seed, NAMES[number]
        return Machine(
            name,
            number,
            timeline=self.timeline,
            database=self.database,
            venue=self.venue,
            bus=self.bus,
            is_shared=self.is_shared,
            database_link=Link(self.timeline, stream(seed, f"{name} database"), Weather()),
            venue_link=Link(
                self.timeline, stream(seed, f"{name} venue"), Weather(delay_s=VENUE_DELAY_S)
            ),
            chance=stream(seed, name),
            surprises=self.hiccups,
            watch=self.judge,
            note=note,
            without=self.scenario.without,
        )

    def _look(self) -> None:
        """Is everything settled? Then the world may end."""
        self._is_over = (
            self.sender.is_done
            and self.venue.is_quiet
            and not any(machine.venue_link.under_way for machine in self.machines)
            and is_settled(self.database.tables)
            and not any(map(self.judge.unstored, self.machines))
        )
        self.timeline.after(LOOK_EVERY_S, self._look)

    def _trust(self, holder: Holder) -> Epoch | None:
        return next(filter(None, (each.trust(holder) for each in self.machines)), None)

    def _ambush(self, name: str) -> None:
        if self._faults is not None:
            self._faults.committed(name)

    def _note(self, who: str, what: str) -> None:
        self.trace.append(f"{self.timeline.now_s:9.4f} {who:>8}  {what}")


def simulate(scenario: Scenario) -> Result:
    """Run one world from its seed to its end."""
    world = World(scenario)
    with _logs_of(world):
        return world.run()


@contextmanager
def _logs_of(world: World) -> Iterator[None]:
    """Let log lines go into the trace, or nowhere, and restore what was before."""
    before = structlog.get_config()
    traced = world.scenario.traced
    structlog.configure(
        processors=[world.note_log if traced else _drop],
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG if traced else CRITICAL),
        cache_logger_on_first_use=False,
    )
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()
        structlog.configure(**before)


def _drop(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    raise structlog.DropEvent


def _no_note(who: str, what: str) -> None:
    return
