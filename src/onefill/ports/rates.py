"""What an account may ask and order of its broker, shared by all instances. Source: ORD-11."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Protocol

from onefill.core.orders.rates import RateWindow, Room, Urgency

_urgency: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.NORMAL)


@contextlib.contextmanager
def urgently(urgency: Urgency) -> Iterator[None]:
    """Whatever is asked of a broker inside is as urgent as that."""
    token = _urgency.set(urgency)
    try:
        yield
    finally:
        _urgency.reset(token)


def present_urgency() -> Urgency:
    """How urgent what runs now is."""
    return _urgency.get()


class RateStore(Protocol):
    """Counts for all instances. Accounts are `broker/account`. All raise StoreUnavailable."""

    async def room(self, account: str, windows: Sequence[RateWindow]) -> Room:
        """How many orders could be claimed now. A claim counts again, exactly."""
        ...

    async def grant(
        self, account: str, windows: Sequence[RateWindow], weight: int, urgency: Urgency
    ) -> int:
        """Questions of that weight may be asked within a twentieth of the shortest window.

        The answer is the granted weight, never less than asked; 0: not now.
        """
        ...

    async def hold(self, account: str, hold_ms: int, why: str) -> None:
        """The broker told the account to wait: nobody orders or asks for so long."""
        ...
