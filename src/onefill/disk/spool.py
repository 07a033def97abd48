"""ports.spool.Spool as files that are only ever appended to, or removed as a whole.

A file is written by one process and never again after that, so that what a crash tore off can
only be at the end of a file.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

from onefill.disk.files import OWNER_ONLY, make_folder, remove_file, sync_folder, write_all
from onefill.disk.records import record_of, records_in
from onefill.ports.spool import Batch, Kept, Spooled

SUFFIX = ".spool"
FILE_BYTES = 1 << 20

log = structlog.get_logger()

_Waiting = tuple[bytes, "asyncio.Future[Kept]"]


class DiskSpool:
    """A folder of numbered files. bytes_max: of all of them together."""

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._counts: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._open: str | None = None
        self._descriptor = -1
        self._last = 0
        self._queue: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._find()

    @property
    def waiting(self) -> int:
        """How many signals wait."""
        return sum(self._counts.values())

    async def keep(self, signal: Spooled) -> Kept:
        """Write it down; concurrent calls share one fsync."""
        record = record_of(signal)
        queued = sum(len(each) for each, _ in self._queue)
        if sum(self._bytes.values()) + queued + len(record) > self._bytes_max:
            return Kept.FULL
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._queue.append((record, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_groups(), name="spool")
        return await asyncio.shield(future)

    async def oldest(self) -> Batch | None:
        """The signals of the oldest file, which nothing is added to from now on."""
        if not self._counts:
            return None
        name = min(self._counts)
        if name == self._open:
            await self._seal()
        try:
            data = await asyncio.to_thread((self._folder / name).read_bytes)
        except OSError as error:
            log.error("spool.unreadable", file=name, error=str(error))
            return None
        signals, torn = records_in(data)
        if torn:
            log.warning("spool.torn_end", file=name, bytes=torn, signals=len(signals))
        self._counts[name] = len(signals)
        return Batch(name=name, signals=signals)

    async def forget(self, batch: Batch) -> None:
        """All of them are in the log."""
        try:
            await asyncio.to_thread(remove_file, self._folder / batch.name)
        except OSError as error:
            log.error("spool.not_removed", file=batch.name, error=str(error))
            return
        self._counts.pop(batch.name, None)
        self._bytes.pop(batch.name, None)

    # Writing -----------------------------------------------------------------------------------

    async def _write_groups(self) -> None:
        """One fsync for all that waited while the last one ran."""
        while self._queue:
            group, self._queue = self._queue, []
            data = b"".join(record for record, _ in group)
            try:
                await asyncio.to_thread(self._append, data)
            except OSError as error:
                # What is on the disk now nobody knows: nothing more goes into this file.
                log.error("spool.failed", signals=len(group), error=str(error))
                self._let_go()
                answer = Kept.FAILED
            else:
                self._note(len(group), len(data))
                answer = Kept.KEPT
            for _, future in group:
                if not future.done():
                    future.set_result(answer)

    def _append(self, data: bytes) -> None:
        if self._open is None:
            self._begin()
        write_all(self._descriptor, data)
        os.fsync(self._descriptor)

    def _begin(self) -> None:
        make_folder(self._folder)
        self._last += 1
        name = f"{self._last:012d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(self._folder / name, flags, OWNER_ONLY)
        self._open = name
        self._counts[name] = self._bytes[name] = 0
        sync_folder(self._folder)

    def _note(self, signals: int, size: int) -> None:
        name = self._open
        assert name is not None
        self._counts[name] += signals
        self._bytes[name] += size
        if self._bytes[name] >= FILE_BYTES:
            self._let_go()

    async def _seal(self) -> None:
        while self._writer is not None and not self._writer.done():
            await asyncio.wait({self._writer})
        self._let_go()

    def _let_go(self) -> None:
        if self._open is not None:
            os.close(self._descriptor)
            self._open = None

    # What an earlier process left --------------------------------------------------------------

    def _find(self) -> None:
        for name, signals, size in found_in(self._folder):
            self._counts[name], self._bytes[name] = signals, size
            self._last = max(self._last, int(name.removesuffix(SUFFIX)))


def spool_folder(data: Path) -> Path:
    """Where an instance with this data directory keeps its spool."""
    return data / "spool"


def found_in(folder: Path) -> list[tuple[str, int, int]]:
    """Each file of a spool, oldest first, with its whole signals and its bytes."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = path.read_bytes()
        found.append((path.name, len(records_in(data)[0]), len(data)))
    return found
