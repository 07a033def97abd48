"""The venue's memory on disk: JSON lines, appended, forced to the disk before anything is answered.

Requests that arrive while the disk works share the next write: nobody waits for a timer, and a
thousand orders cost a few dozen forced writes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from onefill.core.errors import ConfigurationError, OnefillError
from onefill.venue.orders import Entry

FILE_NAME = "ledger.jsonl"


class LedgerBroken(OnefillError):
    """The ledger holds a line that is not an entry, and it is not the last one."""

    remedy = "Move the file aside and keep it: the venue can't tell what it executed."


class LedgerLost(OnefillError):
    """The ledger could not be written; nothing more is answered as done."""

    remedy = "Free the disk and start the venue again; it reads back what was written."


class _Group:
    """The entries of one write, and the event that they are on the disk."""

    __slots__ = ("data", "on_disk")

    def __init__(self) -> None:
        self.data = bytearray()
        self.on_disk = asyncio.Event()


class Ledger:
    """Appends entries and says when they are durable. One process at a time holds the file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._encoder = msgspec.json.Encoder()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock()
        _force_folder(folder)
        self._filling: _Group | None = None
        self._writing: _Group | None = None
        self._wanted = asyncio.Event()
        self._failure: OSError | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def read(self) -> Iterator[Entry]:
        """Every entry from the first to the last; a torn last line is cut off the file.

        Raises LedgerBroken for any other line that can't be read.
        """
        decoder = msgspec.json.Decoder(Entry)
        good_bytes = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                try:
                    entry = decoder.decode(line)
                except msgspec.DecodeError as error:
                    if not lines.read(1):
                        break
                    raise LedgerBroken(file=self.path, at_byte=good_bytes) from error
                yield entry
                good_bytes += len(line)
        os.ftruncate(self._file, good_bytes)

    def append(self, entry: Entry) -> None:
        """Put an entry into the next write. It is durable only once durable() has returned."""
        if self._filling is None:
            self._filling = _Group()
            self._wanted.set()
        self._filling.data += self._encoder.encode(entry)
        self._filling.data += b"\n"

    async def durable(self) -> None:
        """Return once every entry appended so far is on the disk; at once if all are.

        Raises LedgerLost after the first write that failed, for ever.
        """
        group = self._filling or self._writing
        if group is not None:
            await group.on_disk.wait()
        if self._failure is not None:
            raise LedgerLost(cause=self._failure) from self._failure

    async def write_for_ever(self) -> None:
        """Write group after group until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            group, self._filling = self._filling, None
            if group is None:
                continue
            self._writing = group
            try:
                await loop.run_in_executor(self._thread, self._force, bytes(group.data))
            except OSError as error:
                self._failure = error
            self._writing = None
            group.on_disk.set()

    def close(self) -> None:
        """Write what is left, and let another process have the file."""
        self._thread.shutdown(wait=True)
        if self._filling is not None and self._failure is None:
            self._force(bytes(self._filling.data))
            self._filling.on_disk.set()
            self._filling = None
        os.close(self._file)

    def _force(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise ConfigurationError(
                "another venue uses this data directory",
                remedy="Stop it first, or give each venue a directory of its own.",
                file=self.path,
            ) from error


def _force_folder(folder: Path) -> None:
    """Make the file's name durable too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
