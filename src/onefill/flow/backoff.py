"""Waiting a little longer after each failure."""

from __future__ import annotations

from onefill.ports.clock import Clock


class Backoff:
    """Doubles from 20 ms to half a second; `reset` after a success.

    Short, because being back within 2 s of a server's return is promised (OPS-3).
    """

    def __init__(self, clock: Clock, *, first_s: float = 0.02, most_s: float = 0.5) -> None:
        self._clock = clock
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    async def wait(self) -> None:
        """Wait, and wait longer the next time."""
        await self._clock.sleep(self._next_s)
        self._next_s = min(self._next_s * 2, self._most_s)

    def reset(self) -> None:
        """Begin small again."""
        self._next_s = self._first_s
