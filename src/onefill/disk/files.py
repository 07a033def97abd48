"""What must survive a power cut: written, fsynced, and so is the folder that names it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

OWNER_ONLY = 0o600


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder, or taken out of it, durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder for this user alone, durably, if it is not there."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes) -> None:
    """Put this text in the place of a file: after a crash there is the old one, or the new one."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(path)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Take a file away, durably; one that is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    sync_folder(path.parent)
