"""What goes wrong, by seed: a few kinds of faults a world, at times of their own choice."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onefill.sim.chance import Chance
from onefill.sim.database import Database
from onefill.sim.loop import Timeline
from onefill.sim.machine import Machine
from onefill.sim.neighbours import Bus
from onefill.sim.venue import Temper, Venue
from onefill.sim.wire import Link, Weather

FAULTS_S = 5.0
CALLBACKS_MANY = 1_000_000_000


class Kind(enum.StrEnum):
    """Kinds of faults."""

    CRASH = "crash"
    PAUSE = "pause"
    CUT_DATABASE = "cut_database"
    CUT_VENUE = "cut_venue"
    RESTART = "restart"
    STEP_DOWN = "step_down"
    TAKE = "take"
    FORCE = "force"
    RELEASE = "release"
    CLOCK = "clock"
    WEATHER = "weather"
    TEMPER = "temper"
    HICCUPS = "hiccups"
    AMBUSH = "ambush"


@dataclass(slots=True)
class Hiccups:
    """Implements machine.Surprises. every: callbacks between two of them, on average; 0: none."""

    chance: Chance
    every: int = 0
    deadly: float = 0.0
    long: float = 0.0

    def until_next(self) -> int:
        """How many callbacks run until the next surprise."""
        if not self.every:
            return CALLBACKS_MANY
        return 1 + int(self.chance.expovariate(1 / self.every))

    def strike(self, machine: Machine) -> None:
        """Stop or kill it right between two of its steps."""
        if not self.every:
            return
        draw = self.chance.random()
        if draw < self.deadly:
            machine.crash()
        elif draw < self.deadly + self.long:
            machine.pause(self.chance.random() * 3.0)
        else:
            machine.pause(self.chance.random() ** 3 * 0.05)


@dataclass(frozen=True, slots=True)
class Targets:
    """What faults can hit."""

    timeline: Timeline
    machines: Sequence[Machine]
    database: Database
    venue: Venue
    bus: Bus
    hiccups: Hiccups
    note: Callable[[str, str], None]


class Faults:
    """The faults of one world. After `heal` nothing goes wrong any more."""

    def __init__(self, chance: Chance, targets: Targets) -> None:
        self._chance = chance
        self._targets = targets
        self._is_over = False
        self._ambush = 0.0

    def committed(self, name: str) -> None:
        """That instance has just committed: before it hears so is the best moment to hit it."""
        if self._is_over or self._chance.random() >= self._ambush:
            return
        machine = next(each for each in self._targets.machines if each.name == name)
        if self._chance.random() < 0.4:
            machine.crash()
        else:
            machine.pause(self._chance.random() * 5.0)

    def schedule(self) -> None:
        """Choose which kinds, how many and when."""
        kinds = [kind for kind in Kind if self._chance.random() < 0.45]
        for kind in kinds:
            if kind in (Kind.WEATHER, Kind.TEMPER, Kind.HICCUPS, Kind.AMBUSH):
                self._do(kind)
                continue
            for _ in range(self._chance.randint(1, 3)):
                self._targets.timeline.at(self._chance.random() * FAULTS_S, self._do, kind)
        self._targets.timeline.at(FAULTS_S, self.heal)

    def heal(self) -> None:
        """From now on all is well."""
        self._is_over = True
        targets = self._targets
        targets.note("world", "heals")
        targets.hiccups.every = 0
        targets.venue.temper = Temper()
        targets.bus.loss = 0.0
        for machine in targets.machines:
            for link in (machine.database_link, machine.venue_link):
                link.is_cut, link.weather = False, Weather()
            machine.loop.go_on()
            machine.start()

    def _do(self, kind: Kind) -> None:
        if self._is_over:
            return
        machine = self._chance.choice(self._targets.machines)
        match kind:
            case Kind.WEATHER:
                self._worsen_weather()
            case Kind.TEMPER:
                self._spoil_temper()
            case Kind.HICCUPS:
                self._begin_hiccups()
            case Kind.AMBUSH:
                self._ambush = self._chance.random() * 0.25
            case Kind.RESTART:
                self._restart_database()
            case _:
                self._hit(machine, kind)

    def _hit(self, machine: Machine, kind: Kind) -> None:
        match kind:
            case Kind.CRASH:
                machine.crash()
            case Kind.PAUSE:
                machine.pause(0.02 + self._chance.random() ** 2 * 4.0)
            case Kind.STEP_DOWN:
                machine.step_down()
            case Kind.TAKE:
                machine.take_control(force=False)
                self._next_to(machine).take_control(force=False)  # two people, one wish
            case Kind.FORCE:
                machine.take_control(force=True)
            case Kind.RELEASE:
                machine.release_control()
            case Kind.CUT_DATABASE:
                self._cut(machine, machine.database_link, "database")
            case Kind.CUT_VENUE:
                self._cut(machine, machine.venue_link, "venue")
            case Kind.CLOCK:
                machine.clock.wall_off_s += self._chance.uniform(-90, 90)

    def _next_to(self, machine: Machine) -> Machine:
        machines = self._targets.machines
        return machines[(machines.index(machine) + 1) % len(machines)]

    def _cut(self, machine: Machine, link: Link, what: str) -> None:
        seconds = 0.05 + self._chance.random() ** 2 * 3.0
        self._targets.note(machine.name, f"is cut off from the {what} for {seconds:.2f} s")
        link.is_cut = True
        self._targets.timeline.after(seconds, _mend, link)

    def _restart_database(self) -> None:
        self._targets.note("database", "restarts: all sessions end")
        for session in tuple(self._targets.database.sessions):
            session.end()

    def _worsen_weather(self) -> None:
        draw = self._chance.random
        self._targets.bus.loss = draw()
        for machine in self._targets.machines:
            machine.database_link.weather = Weather(
                delay_s=0.0006,
                slow=draw() * 0.1,
                slow_s=draw() * 0.6,
                lost_there=draw() * 0.04,
                lost_back=draw() * 0.04,
            )
            machine.venue_link.weather = Weather(
                delay_s=0.002,
                slow=draw() * 0.3,
                slow_s=draw() * 3.0,
                lost_there=draw() * 0.1,
                lost_back=draw() * 0.2,
            )

    def _spoil_temper(self) -> None:
        draw = self._chance.random
        self._targets.venue.temper = Temper(
            silent=draw() * 0.4,
            late=draw() * 0.4,
            busy=draw() * 0.3,
            refuses=draw() * 0.1,
            lingers=draw() * 0.5,
        )

    def _begin_hiccups(self) -> None:
        hiccups = self._targets.hiccups
        hiccups.every = self._chance.choice((100, 300, 1000))
        hiccups.deadly = self._chance.random() * 0.1
        hiccups.long = self._chance.random() * 0.2


def _mend(link: Link) -> None:
    link.is_cut = False
