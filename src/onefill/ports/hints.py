"""Hints: who has something to do. A lost hint costs a moment, never a signal: sweeps find all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Inbox(Generic[T]):
    """A set of things to look at: an item added again while it waits is one item."""

    def __init__(self) -> None:
        self._items: dict[T, None] = {}
        self._filled = asyncio.Event()

    def add(self, items: Iterable[T]) -> None:
        """Put items in; wakes the reader."""
        self._items.update(dict.fromkeys(items))
        if self._items:
            self._filled.set()

    def wake(self) -> None:
        """Wake the reader even if there is nothing: something else wants to be looked at."""
        self._filled.set()

    def take(self, limit: int) -> list[T]:
        """Take out up to `limit` items, oldest first."""
        taken = list(self._items)[:limit]
        for item in taken:
            del self._items[item]
        if not self._items:
            self._filled.clear()
        return taken

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something, a wake, or the end of the time; whether there is some."""
        if not self._items:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()
            except TimeoutError:
                return False
            if not self._items:
                self._filled.clear()
        return bool(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Topic(Generic[T]):
    """One-to-many inside a process: each subscriber is called with each item."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[T], None]] = []

    def subscribe(self, callback: Callable[[T], None]) -> Callable[[], None]:
        """Call back with each item from now on; the answer unsubscribes."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    @property
    def is_heard(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._subscribers)

    def publish(self, item: T) -> None:
        """Tell all subscribers."""
        for subscriber in tuple(self._subscribers):
            subscriber(item)
