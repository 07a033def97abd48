"""Kills, pauses and takeovers between two instances, at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from chaos.world import World

NAMES = ("prod", "dev")
AFTER_S = (0.0, 0.5)
FAIR = 0.8
"""How often it waits until both have recovered from the last deed; else it strikes at once."""
PAUSE_S = (0.2, 3.0)


@dataclass
class Enemy:
    """Strikes when it is told to. done: how often it did what; the same seed is the same plan."""

    here: World
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)

    async def strike(self, work: asyncio.Task[None]) -> None:
        """One misfortune, soon after the work began; the first one is a death."""
        acts = {self._kill: 4, self._kill_both: 1, self._pause: 2, self._take: 4, self._force: 2}
        if self.rng.random() < FAIR:
            await asyncio.gather(*(self.here[name].up() for name in NAMES))
        await _within(work, self.rng.uniform(*AFTER_S))
        (deed,) = self.rng.choices(list(acts), list(acts.values())) if self.done else (self._kill,)
        await deed(work)

    async def _kill(self, _: asyncio.Task[None]) -> None:
        self._again(self.rng.choice(NAMES))

    async def _kill_both(self, _: asyncio.Task[None]) -> None:
        for name in NAMES:
            self._again(name)

    def _again(self, name: str) -> None:
        """SIGKILL, and a new start at once."""
        self.here[name].kill()
        preferred = "true" if name == NAMES[0] else "false"
        self.here[name].start({**self.here.environment, "ONEFILL_ACTIVE_BY_DEFAULT": preferred})
        self.done["kills"] += 1

    async def _pause(self, ended: asyncio.Task[None]) -> None:
        server = self.here[self.rng.choice(NAMES)]
        server.pause()
        await _within(ended, self.rng.uniform(*PAUSE_S))
        server.resume()
        self.done["pauses"] += 1

    async def _take(self, _: asyncio.Task[None]) -> None:
        await self._click({})

    async def _force(self, _: asyncio.Task[None]) -> None:
        await self._click({"force": True})

    async def _click(self, wish: dict[str, object]) -> None:
        name = self.rng.choice(NAMES)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(3):
                status, _ = await self.here.ask(name, "/api/ginie/take-control", wish)
                if status == 202:
                    self.done["takeovers"] += 1


async def _within(ended: asyncio.Task[None], seconds: float) -> bool:
    """Whether the task ended within so many seconds."""
    return bool((await asyncio.wait({ended}, timeout=seconds))[0])
