"""What an instance remembers of its database outlives it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from manual_clock import NOON, ManualClock
from onefill.core.control.authority import Landmark
from onefill.core.ids import Epoch
from onefill.disk.files import replace_file
from onefill.disk.memory import NAME, DiskMemory, read
from support import until

HERE = Landmark(identity="7/1/5/16384", position=1_000, epoch=Epoch(8), at=NOON)


def further(number: int) -> Landmark:
    return replace(HERE, position=1_000 + number, at=NOON + timedelta(milliseconds=number))


@pytest.mark.req("CTL-8")
async def test_it_is_there_for_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    memory = DiskMemory(folder, ManualClock())
    assert memory.landmark is None
    memory.remember(HERE)
    await until(lambda: DiskMemory(folder, ManualClock()).landmark == HERE)


@pytest.mark.req("CTL-8")
async def test_it_writes_once_a_second_and_a_new_epoch_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    memory = DiskMemory(tmp_path, clock)
    memory.remember(HERE)
    await until(lambda: read(tmp_path / NAME) == HERE)
    for number in range(1, 50):
        memory.remember(further(number))
    assert read(tmp_path / NAME) == HERE
    memory.remember(replace(further(50), epoch=Epoch(9)))
    await until(lambda: read(tmp_path / NAME) == memory.landmark, 30)
    await clock.advance(1)
    memory.remember(replace(further(51), epoch=Epoch(9)))
    await until(lambda: read(tmp_path / NAME) == memory.landmark, 30)


@pytest.mark.req("CTL-8")
async def test_after_a_loss_it_forgets_what_was_before(tmp_path: Path) -> None:
    memory = DiskMemory(tmp_path, ManualClock())
    memory.remember(further(100))
    memory.remember(HERE)
    assert memory.landmark == further(100)
    memory.start_anew(HERE)
    assert memory.landmark == HERE


@pytest.mark.req("CTL-8")
def test_a_death_while_it_is_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / NAME
    facts = {"identity": "a", "position": 1, "epoch": 2, "at": NOON.isoformat()}
    replace_file(path, json.dumps(facts).encode())
    path.with_suffix(".new").write_bytes(b'{"identity": "b", "posi')
    assert read(path) == Landmark(identity="a", position=1, epoch=Epoch(2), at=NOON)


@pytest.mark.parametrize("text", [b"", b"{}", b"null", b'{"identity": "a", "position": "x"}'])
def test_a_file_that_makes_no_sense_is_no_memory(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    assert read(tmp_path / NAME) is None


async def test_a_disk_that_refuses_costs_the_memory_of_restarts_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a folder")
    memory = DiskMemory(tmp_path / "file" / "below", ManualClock())
    memory.remember(HERE)
    assert memory.landmark == HERE
