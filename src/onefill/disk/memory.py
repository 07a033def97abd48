"""ports.authority.Memory as one small file, replaced as a whole."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import structlog

from onefill.core.control.authority import Landmark, later
from onefill.core.ids import Epoch
from onefill.disk.files import make_folder, replace_file
from onefill.ports.clock import Clock

NAME = "authority.json"
WRITE_EVERY_MS = 1_000

log = structlog.get_logger()


class DiskMemory:
    """Written beside whatever else goes on: nobody waits for it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / NAME
        self._clock = clock
        self._landmark = read(self._path)
        self._written = self._landmark
        self._written_ms = float("-inf")
        self._writer: asyncio.Task[None] | None = None

    @property
    def landmark(self) -> Landmark | None:
        """The last that was told, or that an earlier process was told."""
        return self._landmark

    def remember(self, landmark: Landmark) -> None:
        """Remember this, if it is further; on the disk within a second, or at once when the epoch
        has changed."""
        self._put(later(self._landmark, landmark))

    def start_anew(self, landmark: Landmark) -> None:
        """Remember this and nothing before."""
        self._put(landmark)

    def _put(self, landmark: Landmark) -> None:
        self._landmark = landmark
        if self._is_due() and (self._writer is None or self._writer.done()):
            self._writer = asyncio.create_task(self._write(), name="memory of the authority")

    def _is_due(self) -> bool:
        now, before = self._landmark, self._written
        if now is None or before is None:
            return True
        if (now.identity, now.epoch) != (before.identity, before.epoch):
            return True
        return self._clock.boottime_ms() - self._written_ms >= WRITE_EVERY_MS

    async def _write(self) -> None:
        while self._is_due():
            landmark, self._written_ms = self._landmark, self._clock.boottime_ms()
            assert landmark is not None
            try:
                await asyncio.to_thread(_write_file, self._path, landmark)
            except OSError as error:
                log.error("memory.not_written", path=str(self._path), error=str(error))
                return
            self._written = landmark


def read(path: Path) -> Landmark | None:
    """What the file says; None where there is none, or it can't be read."""
    try:
        facts = json.loads(path.read_bytes())
        return Landmark(
            identity=str(facts["identity"]),
            position=int(facts["position"]),
            epoch=Epoch(int(facts["epoch"])),
            at=datetime.fromisoformat(facts["at"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.critical("memory.unreadable", path=str(path), error=str(error))
        return None


def _write_file(path: Path, landmark: Landmark) -> None:
    make_folder(path.parent)
    facts = {
        "identity": landmark.identity,
        "position": landmark.position,
        "epoch": landmark.epoch,
        "at": landmark.at.isoformat(),
    }
    replace_file(path, json.dumps(facts).encode())
