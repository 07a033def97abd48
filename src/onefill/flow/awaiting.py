"""For those who want to know at once what became of their signal (SIG-19)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.signal import END_STATUSES, SignalStatus
from onefill.ports.clock import Clock
from onefill.ports.hints import Topic
from onefill.ports.signal_log import Progress, SignalLog

POLL_EVERY_S = 0.05

Ended = tuple[int, SignalStatus, str | None]
"""A signal's id, its end, and why."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    last: Progress
    futures: set[asyncio.Future[Progress]] = field(default_factory=set)


class Awaiting:
    """Tells when signals end: at once where this process ended them, else by asking the log."""

    def __init__(self, *, signal_log: SignalLog, ended: Topic[Ended], clock: Clock) -> None:
        self._log = signal_log
        self._clock = clock
        self._watched: dict[int, _Watched] = {}
        self._filled = asyncio.Event()
        ended.subscribe(self._note_end)

    async def outcome(self, signal_id: int, timeout_s: float) -> Progress:
        """The signal's end; or how far it came, as last seen, when the time is up."""
        fallback = _Watched(
            Progress(signal_id=signal_id, status=SignalStatus.RECEIVED, reason=None)
        )
        watched = self._watched.setdefault(signal_id, fallback)
        future: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()
        watched.futures.add(future)
        self._filled.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return watched.last
        finally:
            self._leave(signal_id, watched, future)

    async def run(self) -> None:
        """Ask the log for all awaited signals, in groups, until cancelled."""
        while True:
            await self._filled.wait()
            try:
                for progress in (await self._log.progress(list(self._watched))).values():
                    self._note(progress)
            except StoreUnavailable as error:
                log.warning("awaiting.store_unavailable", error=str(error))
            await self._clock.sleep(POLL_EVERY_S)

    def _note_end(self, ended: Ended) -> None:
        signal_id, status, reason = ended
        self._note(Progress(signal_id=signal_id, status=status, reason=reason))

    def _note(self, progress: Progress) -> None:
        watched = self._watched.get(progress.signal_id)
        if watched is None:
            return
        watched.last = progress
        if progress.status in END_STATUSES:
            for future in watched.futures:
                if not future.done():
                    future.set_result(progress)

    def _leave(self, signal_id: int, watched: _Watched, future: asyncio.Future[Progress]) -> None:
        watched.futures.discard(future)
        if not watched.futures and self._watched.get(signal_id) is watched:
            del self._watched[signal_id]
        if not self._watched:
            self._filled.clear()
