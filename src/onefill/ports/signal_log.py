"""Where signals become durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onefill.core.ids import Lane
from onefill.core.signal import SignalStatus, second_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """A valid signal about to be logged. payload: its JSON text, without the secret.

    perhaps_logged: somebody says that it is in the log, so the log looks before it writes.
    """

    fingerprint: bytes
    lane: Lane
    engine: str
    kind: str
    portfolio: str
    instrument: str
    signal_time: datetime
    payload: str
    perhaps_logged: bool = False

    @property
    def signal_second(self) -> datetime:
        """The time as the fingerprint holds it: the same for all signals of one fingerprint."""
        return second_of(self.signal_time)


@dataclass(frozen=True, slots=True)
class Logged:
    """fresh is False when this fingerprint was in the log before."""

    signal_id: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Unloggable:
    """The log can't hold this signal (a character that the store does not know, say); it is not
    in the log, and never will be."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a signal has come."""

    signal_id: int
    status: SignalStatus
    reason: str | None


class SignalLog(Protocol):
    """The log of all signals; its uniqueness of fingerprints is what deduplicates (SIG-10)."""

    @property
    def database(self) -> str | None:
        """Which database the log is in, as last seen on the connection that is open now.

        None while none is open. Another one after a restore or a change of servers: then what was
        remembered of the former one's commits is void.
        """
        ...

    async def identify(self) -> None:
        """Look again which database it is. Raises StoreUnavailable."""
        ...

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        """Log them in one durable statement; the answer is in the batch's order.

        Equal fingerprints inside a batch: the first is fresh, the others are not. A signal that
        can't be logged is Unloggable; the others are logged all the same.
        Raises StoreUnavailable (then nothing is known: each may be in the log or not).
        """
        ...

    async def count_duplicates(
        self, counts: Mapping[int, int], layers: Mapping[int, str] | None = None
    ) -> None:
        """Add to the duplicates of each signal id. layers: what recognised the last of them."""
        ...

    async def progress(self, signal_ids: Sequence[int]) -> Mapping[int, Progress]:
        """How far these signals have come."""
        ...
