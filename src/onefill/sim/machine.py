"""A machine with one instance on it: it starts, stops, crashes, and loses its network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from onefill.core.control.succession import Heir
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder
from onefill.sim.chance import Chance
from onefill.sim.clock import MachineClock
from onefill.sim.database import Database
from onefill.sim.instance import SimInstance
from onefill.sim.loop import Life, ProcessLoop, Timeline
from onefill.sim.neighbours import Bus
from onefill.sim.protections import Without
from onefill.sim.surroundings import Surroundings, Watch
from onefill.sim.venue import Venue
from onefill.sim.wire import Link, Wire

RESTART_AFTER_S = 0.3
DATABASE_PATIENCE_S = 2.0
VENUE_PATIENCE_S = 1.0
NOTICED_AFTER_S = 0.001


class Surprises(Protocol):
    """What may happen to a process between two of its steps."""

    def until_next(self) -> int:
        """How many callbacks run until the next surprise."""
        ...

    def strike(self, machine: Machine) -> None:
        """Stop or kill it, or do nothing."""
        ...


class Machine:
    """One machine. links: its network to the database and to the venue."""

    def __init__(
        self,
        name: str,
        number: int,
        *,
        timeline: Timeline,
        database: Database,
        venue: Venue,
        bus: Bus,
        is_shared: bool,
        database_link: Link,
        venue_link: Link,
        chance: Chance,
        surprises: Surprises,
        watch: Watch,
        note: Callable[[str, str], None],
        without: Without,
    ) -> None:
        self.name = name
        self.database_link = database_link
        self.venue_link = venue_link
        self.clock = MachineClock(timeline, booted_ms=chance.random() * 1e7)
        self.loops: list[ProcessLoop] = []
        self.failures: list[BaseException] = []
        self._number = number
        self._timeline = timeline
        self._database = database
        self._venue = venue
        self._bus = bus
        self._is_shared = is_shared
        self._surprises = surprises
        self._watch = watch
        self._note = note
        self._without = without
        self._instance: SimInstance | None = None
        self._wires: tuple[Wire, ...] = ()
        self._me: Holder | None = None

    @property
    def loop(self) -> ProcessLoop:
        """The loop of its newest process."""
        return self.loops[-1]

    @property
    def boot(self) -> UUID:
        """Its newest process."""
        assert self._me is not None
        return self._me.boot

    @property
    def instance(self) -> SimInstance | None:
        """Its running instance."""
        return self._instance

    def trust(self, holder: Holder) -> Epoch | None:
        """Under which epoch that process believes to lead, if it runs here now."""
        runs = holder == self._me and self.loop.life is Life.RUNS
        return self._instance.epoch if runs and self._instance is not None else None

    @property
    def is_up(self) -> bool:
        """Whether a process runs (or is stopped) on it."""
        return bool(self.loops) and self.loop.life is not Life.DEAD

    def start(self) -> None:
        """Start the instance, unless it runs."""
        if self.is_up:
            return
        boot = UUID(int=self._number * 1_000_000 + len(self.loops) + 1)
        self._me = Holder(instance=self.name, boot=boot)
        self._note(self.name, f"starts (boot {len(self.loops) + 1})")
        loop = ProcessLoop(  # type: ignore[abstract]  # no sockets, no signals, no processes
            self._timeline, self._hiccup, self._surprises.until_next()
        )
        self.loops.append(loop)
        database_wire = Wire(self.database_link, DATABASE_PATIENCE_S)
        venue_wire = Wire(self.venue_link, VENUE_PATIENCE_S)
        self._wires = (database_wire, venue_wire)
        around = Surroundings(
            me=self._me,
            heir=Heir(instance=self.name, preferred=self._number == 0),
            is_shared=self._is_shared,
            timeline=self._timeline,
            bus=self._bus,
            clock=self.clock,
            database=self._database,
            database_wire=database_wire,
            venue=self._venue,
            venue_wire=venue_wire,
            watch=self._watch,
            without=self._without,
        )
        loop.call_soon(self._boot, loop, around)

    def crash(self) -> None:
        """SIGKILL; a supervisor starts it again."""
        if not self.is_up:
            return
        self._note(self.name, "is killed")
        self._end()
        self._timeline.after(RESTART_AFTER_S, self.start)

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after that time."""
        if self.is_up:
            self._note(self.name, f"is stopped for {seconds * 1000:.0f} ms")
            self.loop.stop_running()
            self._timeline.after(seconds, self.loop.go_on)

    def step_down(self) -> None:
        """SIGTERM: a clean stop; a supervisor starts it again."""
        if self.is_up and self._instance is not None:
            self._note(self.name, "is asked to stop")
            self.loop.call_soon(self._instance.stop.set)

    def take_control(self, *, force: bool) -> None:
        """A person clicks on Take Control, or on Force."""
        if self.is_up and self._instance is not None:
            instance, loop = self._instance, self.loop
            self._note(
                self.name, "is told to force control" if force else "is told to take control"
            )
            loop.call_soon(lambda: loop.create_task(instance.take_control(force=force)))

    def release_control(self) -> None:
        """A person clicks on Release Control."""
        if self.is_up and self._instance is not None:
            instance, loop = self._instance, self.loop
            self._note(self.name, "is told to release control")
            loop.call_soon(lambda: loop.create_task(instance.release_control()))

    def post(self, body: bytes, answer: Callable[[bool], None]) -> None:
        """A webhook arrives; nobody answers where nothing runs."""
        if self.is_up and self._instance is not None:
            instance, loop = self._instance, self.loop

            async def handle() -> None:
                answer(await instance.take_in(body))

            loop.call_soon(lambda: loop.create_task(handle()))

    def bury(self) -> None:
        """End all that is left of it; it has no effect any more."""
        for wire in self._wires:
            wire.sever()
        for loop in self.loops:
            loop.bury()

    def _boot(self, loop: ProcessLoop, around: Surroundings) -> None:
        self._instance = SimInstance(around)
        loop.create_task(self._instance.run()).add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The process ends by itself: after a clean stop, or because something is broken."""
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failures.append(error)
        self._note(self.name, "ends" if error is None else f"fails: {error!r}")
        self._end()
        self._timeline.after(RESTART_AFTER_S, self.start)

    def _end(self) -> None:
        self.loop.kill()
        self._instance = None
        for wire in self._wires:
            wire.sever()
        if self._me is not None and not self.database_link.is_cut:
            # The kernel closes the connections of a dead process.
            self._timeline.after(NOTICED_AFTER_S, self._database.end_sessions_of, self._me)

    def _hiccup(self) -> int:
        self._surprises.strike(self)
        return self._surprises.until_next()
