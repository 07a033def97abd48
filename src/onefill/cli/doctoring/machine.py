"""This machine: ports, disk, directories, time zones."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from onefill.cli.client import Client
from onefill.cli.doctoring.finding import Finding, fail, ok, warn
from onefill.cli.errors import Unreachable
from onefill.config.rules import instruments_of
from onefill.config.settings import Settings
from onefill.disk.spool import found_in, spool_folder

_WARN_BELOW_BYTES = 2_000_000_000
_FAIL_BELOW_BYTES = 200_000_000


def machine(settings: Settings) -> Iterator[Finding]:
    """Everything that the process itself needs."""
    yield _port(settings.host, settings.port)
    yield _directory(settings.data)
    yield _disk(settings.data)
    yield _spool(settings.data)
    yield _zones(settings)


def _port(host: str, port: int) -> Finding:
    subject = f"port {port}"
    try:
        with socket.create_server((host, port)):
            return ok(subject, f"free on {host}")
    except OSError as error:
        if _is_ours(host, port):
            return ok(subject, "an instance answers there")
        remedy = "Choose another --port, or end what uses it."
        return fail(subject, f"cannot be used on {host}: {error.strerror}", remedy)


def _is_ours(host: str, port: int) -> bool:
    named = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    try:
        return Client(f"http://{named}:{port}", timeout_s=2).ask("GET", "/live").is_good
    except Unreachable:
        return False


def _directory(data: Path) -> Finding:
    """The data directory, or where it would be made."""
    folder = _existing(data)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = f"Let this user write to {folder}, or choose another --data."
        return fail("data directory", f"{folder} cannot be written: {error.strerror}", remedy)
    return ok("data directory", f"{data.absolute()} can be written")


def _disk(data: Path) -> Finding:
    free = shutil.disk_usage(_existing(data)).free
    found = f"{free / 1e9:.1f} GB free"
    if free < _FAIL_BELOW_BYTES:
        return fail("disk", found, "Make room: a full disk stops intake.")
    if free < _WARN_BELOW_BYTES:
        return warn("disk", found, "Make room before the disk is full.")
    return ok("disk", found)


def _spool(data: Path) -> Finding:
    """Signals that wait for the database, whether an instance runs or not."""
    waiting = sum(signals for _, signals, _ in found_in(spool_folder(data)))
    if waiting:
        remedy = "Start the database and the instance: they are taken in by themselves."
        return warn("spool", f"{waiting} signals wait for the database", remedy)
    return ok("spool", "empty")


def _zones(settings: Settings) -> Finding:
    names = sorted({instrument.zone for instrument in instruments_of(settings).values()})
    try:
        for name in names:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        remedy = "Install time zone data (Debian: tzdata), or mend the instrument's zone."
        return fail("time zones", str(error), remedy)
    return ok("time zones", ", ".join(names))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.is_dir())
