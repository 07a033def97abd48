"""What the tests of the embedded PostgreSQL share."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg

PROGRAM = str(Path(__file__).with_name("embedded_program.py"))


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A data folder in a place that every user may enter (pytest's own is private)."""
    with tempfile.TemporaryDirectory(prefix="onefill-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "postgres"


async def execute(url: str, statement: str) -> object:
    """Run a statement on a connection of its own; the first value of its first row."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


async def ready(program: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the program's server: its process id and its address."""
    assert program.stdout is not None
    line = await asyncio.to_thread(program.stdout.readline)
    assert line.startswith("ready"), line
    _, pid, url = line.split()
    return int(pid), url
