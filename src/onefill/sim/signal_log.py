"""ports.signal_log.SignalLog on the simulated database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onefill.ports.signal_log import Logged, NewSignal, Progress, Unloggable
from onefill.sim.connection import Held
from onefill.sim.database import Session
from onefill.sim.tables import SignalRow


class SimSignalLog:
    """One statement a group, unique by fingerprint. is_unique: False plants a bug."""

    def __init__(self, appends: Held, others: Held, *, is_unique: bool) -> None:
        self._appends = appends
        self._others = others
        self._is_unique = is_unique

    @property
    def database(self) -> str | None:
        """There is but one, and it loses nothing."""
        return "sim"

    async def identify(self) -> None:
        """It is always the same."""

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        """Log them; the answer is in the batch's order."""
        return await self._appends.write(lambda s: [self._insert(s, new) for new in batch])

    async def count_duplicates(
        self, counts: Mapping[int, int], layers: Mapping[int, str] | None = None
    ) -> None:
        """Nobody counts here."""

    async def progress(self, signal_ids: Sequence[int]) -> Mapping[int, Progress]:
        """How far these signals have come."""

        def statement(session: Session) -> dict[int, Progress]:
            rows = session.database.tables.signals
            return {
                each: Progress(signal_id=each, status=rows[each].status, reason=rows[each].reason)
                for each in signal_ids
                if each in rows
            }

        return await self._others.read(statement)

    def _insert(self, session: Session, new: NewSignal) -> Logged:
        tables = session.database.tables
        known = tables.by_fingerprint.get(new.fingerprint)
        if known is not None and self._is_unique:
            return Logged(known, False)
        row = SignalRow(len(tables.signals) + 1, new, session.database.now())
        tables.signals[row.id] = row
        tables.by_fingerprint[new.fingerprint] = row.id
        return Logged(row.id, True)
