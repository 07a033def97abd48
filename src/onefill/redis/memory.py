"""What an instance remembers of the Redis that it trades by, on its own disk (CTL-8)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from onefill.disk.files import make_folder, replace_file


@dataclass(frozen=True, slots=True, order=True)
class Remembered:
    """A store, and how many commits it had at the least."""

    store: str
    commits: int


class Memory(Protocol):
    """Survives this process; lost with the disk. place: where people find it."""

    place: str

    def recall(self) -> Remembered | None:
        """What was kept last."""
        ...

    def keep(self, remembered: Remembered) -> None:
        """Keep this instead."""
        ...


class NoMemory:
    """Remembers nothing beyond this process."""

    place = "nowhere"

    def recall(self) -> Remembered | None:
        """Nothing."""
        return None

    def keep(self, remembered: Remembered) -> None:
        """Forgotten at once."""


class MemoryFile:
    """A small file, replaced as a whole and fsynced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = str(path)
        self._kept = self._read()

    def recall(self) -> Remembered | None:
        """What the file says."""
        return self._kept

    def keep(self, remembered: Remembered) -> None:
        """Write the file anew, unless it says so already."""
        if remembered == self._kept:
            return
        make_folder(self._path.parent)
        replace_file(self._path, json.dumps(asdict(remembered)).encode())
        self._kept = remembered

    def _read(self) -> Remembered | None:
        try:
            return Remembered(**json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
