"""The network between a process and a server: late, lossy, and cut for one process only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from onefill.sim.chance import Chance
from onefill.sim.loop import Timeline

T = TypeVar("T")

Reply = Callable[[T], None]
Serve = Callable[[Reply[T]], None]
"""What a server does with a request: it calls back with the answer (an exception is raised)."""


class ConnectionLost(Exception):
    """The connection broke, or nothing came in time; the server may have done it or not."""


@dataclass(slots=True)
class Weather:
    """How a network behaves. Delays in seconds; chances between 0 and 1.

    slow, slow_s: the chance of an extra delay, and its length at most. lost_there, lost_back: the
    chance that a connection breaks before the server heard, or after.
    """

    delay_s: float = 0.0006
    slow: float = 0.0
    slow_s: float = 0.0
    lost_there: float = 0.0
    lost_back: float = 0.0


CALM = Weather()


class Link:
    """The way between one machine and one server. is_cut: nothing passes, nobody is told.

    under_way: requests that the server has not heard yet.
    """

    def __init__(self, timeline: Timeline, chance: Chance, weather: Weather) -> None:
        self.timeline = timeline
        self.chance = chance
        self.weather = weather
        self.is_cut = False
        self.under_way = 0

    def delay_s(self) -> float:
        """How long the next message takes."""
        draw, weather = self.chance.random(), self.weather
        delay = weather.delay_s * (0.3 + 1.4 * draw)
        if weather.slow and self.chance.random() < weather.slow:
            delay += weather.slow_s * self.chance.random() ** 2
        return delay

    def is_lost(self, likelihood: float) -> bool:
        """Whether this message gets lost."""
        return self.is_cut or (likelihood > 0 and self.chance.random() < likelihood)


class Wire:
    """One process's end of a link. It is dead when its process is: nothing leaves any more."""

    def __init__(self, link: Link, patience_s: float) -> None:
        self._link = link
        self._patience_s = patience_s
        self._is_dead = False

    def sever(self) -> None:
        """The process is gone; what it has sent is still under way."""
        self._is_dead = True

    async def ask(self, serve: Serve[T]) -> T:
        """The server's answer. Raises ConnectionLost, or what the server answers with."""
        if self._is_dead:
            raise ConnectionLost
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        link = self._link
        if link.is_lost(link.weather.lost_there):
            self._break(future)
        else:
            link.under_way += 1
            link.timeline.after(link.delay_s(), self._arrive, serve, future)
        return await future

    def tell(self, serve: Callable[[], None]) -> None:
        """Let the server know, if it can be reached; no answer."""
        if not self._is_dead and not self._link.is_cut:
            self._link.timeline.after(self._link.delay_s(), serve)

    def _arrive(self, serve: Serve[T], future: asyncio.Future[T]) -> None:
        self._link.under_way -= 1
        if self._link.is_cut:
            self._break(future)
            return
        serve(lambda answer: self._answer(future, answer))

    def _answer(self, future: asyncio.Future[T], answer: T) -> None:
        link = self._link
        if link.is_lost(link.weather.lost_back):
            self._break(future)
        else:
            link.timeline.after(link.delay_s(), _deliver, future, answer)

    def _break(self, future: asyncio.Future[Any]) -> None:
        """A cut network is silent, so that only patience ends the wait; a broken one says so."""
        wait_s = self._patience_s if self._link.is_cut else self._link.delay_s()
        self._link.timeline.after(wait_s, _deliver, future, ConnectionLost())


def _deliver(future: asyncio.Future[Any], answer: object) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
