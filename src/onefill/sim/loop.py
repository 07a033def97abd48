"""Virtual time, and asyncio on it: one loop for each simulated process, no threads, no sockets.

A process that is stopped runs nothing while the world goes on; one that was killed never runs
again. Time stands still while code runs, and jumps to the next event when all of it waits.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")

ROUNDS_TO_BURY_MAX = 50


class Timeline:
    """The world's time in seconds from its start, and what is to happen at which moment."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.steps = 0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()
        self._ready: list[ProcessLoop] = []

    def at(self, when_s: float, act: Callable[..., None], *arguments: Any) -> None:
        """Act at that moment; events of one moment happen in the order in which they were set."""
        heapq.heappush(self._events, (when_s, next(self._numbers), act, arguments))

    def after(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> None:
        """Act that much later."""
        self.at(self.now_s + delay_s, act, *arguments)

    def note_ready(self, loop: ProcessLoop) -> None:
        """That process has something to run."""
        self._ready.append(loop)

    def run(self, until_s: float, done: Callable[[], bool]) -> None:
        """Let everything happen until it is done, or until that moment."""
        while not done():
            while self._ready:
                self._ready.pop().run_ready()
            if not self._events or self._events[0][0] > until_s:
                self.now_s = until_s
                return
            self.now_s, _, act, arguments = heapq.heappop(self._events)
            self.steps += 1
            act(*arguments)


class Life(enum.Enum):
    """What a process does."""

    RUNS = "runs"
    STOPPED = "stopped"
    DEAD = "dead"


class ProcessLoop(asyncio.AbstractEventLoop):
    """One process's event loop: what asyncio needs, first come first served, as the real one.

    hiccup: called between two callbacks whenever `until_hiccup` of them were run; it says how
    many more may run before it is called again, and may stop or kill the process right there.
    """

    def __init__(self, timeline: Timeline, hiccup: Callable[[], int], until_hiccup: int) -> None:
        self.life = Life.RUNS
        self._timeline = timeline
        self._ready: deque[asyncio.Handle] = deque()
        self._late: list[asyncio.Handle] = []
        self._hiccup = hiccup
        self._until_hiccup = until_hiccup
        self._is_listed = False
        self.complaints: list[dict[str, Any]] = []

    # What asyncio asks of a loop --------------------------------------------------------------

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._timeline.now_s

    def call_soon(  # type: ignore[override]  # Any for its type variable tuple
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run it after what is ready already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._is_listed and self.life is Life.RUNS:
            self._list()
        return handle

    def call_later(  # type: ignore[override]  # Any for its type variable tuple
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it that many seconds later."""
        return self.call_at(self._timeline.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # Any for its type variable tuple
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it at that moment."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timeline.at(max(when, self._timeline.now_s), self._due, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """Never: it would read a real clock."""
        return False

    def is_running(self) -> bool:
        """Whether it may still run something."""
        return self.life is not Life.DEAD

    def is_closed(self) -> bool:
        """It is thrown away as it is."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what asyncio complains about: the judge wants to know."""
        self.complaints.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: a cancelled timer is passed over when it is due."""

    # What the world does with it ---------------------------------------------------------------

    def run_ready(self) -> None:
        """Run all that is ready, until it waits, is stopped or dies."""
        self._is_listed = False
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._ready and self.life is Life.RUNS:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                self._until_hiccup -= 1
                if self._until_hiccup <= 0 and self.life is Life.RUNS:
                    self._until_hiccup = self._hiccup()
        finally:
            events._set_running_loop(outer)

    def stop_running(self) -> None:
        """SIGSTOP: nothing runs until `go_on`."""
        if self.life is Life.RUNS:
            self.life = Life.STOPPED

    def go_on(self) -> None:
        """SIGCONT: what came over the network first, then the timers that are over, as a real
        loop does it."""
        if self.life is Life.STOPPED:
            self.life = Life.RUNS
            self._ready.extend(self._late)
            self._late.clear()
            self._list()

    def kill(self) -> None:
        """SIGKILL: nothing runs any more, until `bury`."""
        self.life = Life.DEAD

    def bury(self) -> None:
        """Let the tasks of a dead process end without any effect; their wires are cut."""
        self.life, self._is_listed = Life.RUNS, True
        for _ in range(ROUNDS_TO_BURY_MAX):
            self._until_hiccup = 1_000_000
            for task in asyncio.all_tasks(self):
                task.cancel()
            if not self._ready:
                break
            self.run_ready()
        self.life = Life.DEAD

    def _list(self) -> None:
        if not self._is_listed and self.life is Life.RUNS:
            self._is_listed = True
            self._timeline.note_ready(self)

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if handle.cancelled() or self.life is Life.DEAD:
            return
        if self.life is Life.STOPPED:
            self._late.append(handle)
            return
        self._ready.append(handle)
        self._list()
