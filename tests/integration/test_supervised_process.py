"""Children that die with their parent, and the supervisor that starts one again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from onefill.embedded import process
from onefill.embedded.process import Supervised
from support import SOURCE, script, until

PARENT = """
import asyncio, sys
from onefill.embedded.process import spawn

async def main():
    child = await spawn([sys.executable, "-c", "import signal; signal.pause()"])
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}
IGNORES_SIGTERM = "trap '' TERM; echo up >> {file}; while :; do sleep 0.1 & wait; done"


def lines_of(file: Path) -> list[str]:
    """The lines written so far."""
    return file.read_text().splitlines() if file.exists() else []


def is_running(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()


@asynccontextmanager
async def supervised(child: Supervised) -> AsyncIterator[Supervised]:
    """A started child, stopped at the end."""
    await child.start()
    try:
        yield child
    finally:
        await child.stop(1)


async def test_a_child_is_started_again_until_its_supervisor_says_no(tmp_path: Path) -> None:
    pauses = iter([0.0, 0.0, None])
    seen: list[tuple[str, int]] = []

    def on_exit(name: str, code: int) -> float | None:
        seen.append((name, code))
        return next(pauses)

    file = tmp_path / "starts"
    argv = ["sh", "-c", f"echo started >> {file}; exit 3"]
    async with supervised(Supervised("prod", argv, ENVIRONMENT, on_exit)) as child:
        await until(lambda: len(seen) == 3)
        assert child.pid is None
    assert seen == [("prod", 3)] * 3
    assert lines_of(file) == ["started"] * 3


async def test_a_child_killed_from_outside_comes_back_as_a_new_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    async with supervised(Supervised("dev", argv, ENVIRONMENT, lambda name, code: 0.0)) as child:
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        second = await until(lambda: child.pid not in (None, first) and child.pid)
    assert not is_running(int(second))


async def test_a_child_that_ignores_the_first_signal_is_ended_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "starts"
    stubborn = Supervised(
        "stubborn", ["sh", "-c", IGNORES_SIGTERM.format(file=file)], ENVIRONMENT, lambda *_: 0.0
    )
    await stubborn.start()
    pid = stubborn.pid
    assert pid is not None
    await until(lambda: lines_of(file) == ["up"])
    await stubborn.stop(0.1)
    assert not is_running(pid)
    assert lines_of(file) == ["up"]


async def test_a_child_dies_with_a_parent_killed_by_9() -> None:
    with script("-c", PARENT) as parent:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert is_running(pid)
        parent.kill()
        await until(lambda: not is_running(pid))


async def test_a_program_run_to_its_end_tells_its_code_and_words() -> None:
    finished = await process.run(["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert finished == process.Finished(4, "out\nerr")


async def test_a_program_is_killed_when_its_run_is_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    run = asyncio.create_task(process.run(["sh", "-c", f"echo $$ > {file}; exec sleep 600"]))
    [pid] = await until(lambda: lines_of(file))
    run.cancel()
    await asyncio.wait([run])
    assert not is_running(int(pid))
