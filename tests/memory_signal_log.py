"""A signal log in memory: the port's contract, with statements that can be held or fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from onefill.core.signal import SignalStatus
from onefill.ports.signal_log import Logged, NewSignal, Progress, Unloggable
from turns import turn


class MemorySignalLog:
    """Implements onefill.ports.signal_log.SignalLog.

    gate: a statement waits until it is set. failures: raised by the next statements, in order,
    before anything is written; `lost_replies`: the same, after it was written. poison: the
    instrument whose rows it can't hold. statements: the size of each. database: which one it is.
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[int, NewSignal]] = {}
        self.duplicates: Counter[int] = Counter()
        self.states: dict[int, Progress] = {}
        self.statements: list[int] = []
        self.failures: list[Exception] = []
        self.lost_replies: list[Exception] = []
        self.count_failures: list[Exception] = []
        self.poison: str | None = None
        self.database: str | None = "the first"
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        self.statements.append(len(batch))
        await self.gate.wait()
        await turn()
        if self.failures:
            raise self.failures.pop(0)
        logged = [self._insert(new) for new in batch]
        if self.lost_replies:
            raise self.lost_replies.pop(0)
        return logged

    async def identify(self) -> None:
        await turn()

    async def count_duplicates(
        self, counts: Mapping[int, int], layers: Mapping[int, str] | None = None
    ) -> None:
        await turn()
        if self.count_failures:
            raise self.count_failures.pop(0)
        self.duplicates.update(counts)

    async def progress(self, signal_ids: Sequence[int]) -> Mapping[int, Progress]:
        await turn()
        if self.failures:
            raise self.failures.pop(0)
        return {one: self.states[one] for one in signal_ids if one in self.states}

    def end(self, signal_id: int, status: SignalStatus, reason: str | None = None) -> None:
        """Let a signal come this far."""
        self.states[signal_id] = Progress(signal_id=signal_id, status=status, reason=reason)

    def _insert(self, new: NewSignal) -> Logged | Unloggable:
        if new.instrument == self.poison:
            return Unloggable("this log can't hold it")
        known = self.rows.get(new.fingerprint)
        if known is not None:
            return Logged(known[0], False)
        signal_id = len(self.rows) + 1
        self.rows[new.fingerprint] = (signal_id, new)
        return Logged(signal_id, True)
