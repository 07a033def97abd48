"""What is answered with 503 is on the disk, whole or not at all, and within bounds."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from manual_clock import NOON
from onefill.disk import spool as spool_file
from onefill.disk.records import record_of, records_in
from onefill.disk.spool import DiskSpool, found_in
from onefill.ports.spool import Kept, Spooled

MUCH = 1 << 20


def signal(number: int, size: int = 0) -> Spooled:
    payload = json.dumps({"order_id": f"s-{number}", "note": "ä" * size})
    return Spooled(received_at=NOON + timedelta(seconds=number), payload=payload)


async def taken(spool: DiskSpool) -> list[Spooled]:
    """Everything that is in there, which is empty afterwards."""
    found: list[Spooled] = []
    while (batch := await spool.oldest()) is not None:
        found += batch.signals
        await spool.forget(batch)
    return found


@pytest.mark.req("SIG-16")
async def test_what_was_kept_is_there_after_a_restart_in_its_order(tmp_path: Path) -> None:
    first = DiskSpool(tmp_path, bytes_max=MUCH)
    assert [await first.keep(signal(n)) for n in range(3)] == [Kept.KEPT] * 3
    second = DiskSpool(tmp_path, bytes_max=MUCH)
    assert await second.keep(signal(3)) is Kept.KEPT
    assert second.waiting == 4
    assert await taken(second) == [signal(n) for n in range(4)]
    assert (second.waiting, list(tmp_path.iterdir())) == (0, [])


@pytest.mark.req("SIG-16")
def test_a_write_that_was_torn_at_any_byte_loses_only_what_was_not_whole() -> None:
    records = [record_of(signal(n)) for n in range(3)]
    data = b"".join(records)
    ends = [sum(map(len, records[: n + 1])) for n in range(3)]
    for length in range(len(data) + 1):
        whole = sum(end <= length for end in ends)
        found, torn = records_in(data[:length])
        assert found == [signal(n) for n in range(whole)], length
        assert torn == length - ([0, *ends][whole]), length


@pytest.mark.req("SIG-16")
def test_a_flipped_bit_is_never_taken_for_a_signal() -> None:
    data = record_of(signal(1)) + record_of(signal(2))
    for place in range(len(data)):
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        found, _ = records_in(bytes(spoilt))
        assert set(map(repr, found)) <= {repr(signal(1))}, place


@pytest.mark.req("SIG-16")
async def test_after_a_torn_end_new_signals_are_kept_beside_it(tmp_path: Path) -> None:
    await DiskSpool(tmp_path, bytes_max=MUCH).keep(signal(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + record_of(signal(2))[:-1])
    spool = DiskSpool(tmp_path, bytes_max=MUCH)
    await spool.keep(signal(3))
    assert await taken(spool) == [signal(1), signal(3)]


@pytest.mark.req("SIG-16")
async def test_it_never_grows_beyond_its_bound_and_takes_more_once_it_is_emptied(
    tmp_path: Path,
) -> None:
    spool = DiskSpool(tmp_path, bytes_max=4_000)
    answers = await asyncio.gather(*(spool.keep(signal(n, size=100)) for n in range(40)))
    assert set(answers) == {Kept.KEPT, Kept.FULL}
    assert sum(size for _, _, size in found_in(tmp_path)) <= 4_000
    assert len(await taken(spool)) == answers.count(Kept.KEPT)
    assert await spool.keep(signal(1)) is Kept.KEPT


@pytest.mark.req("SIG-16")
async def test_those_that_come_together_share_one_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    spool = DiskSpool(tmp_path, bytes_max=MUCH)
    await spool.keep(signal(0))
    before = len(synced)
    await asyncio.gather(*(spool.keep(signal(n)) for n in range(1, 100)))
    assert len(synced) - before <= 2


@pytest.mark.req("SIG-16")
async def test_a_disk_that_refuses_is_told_and_what_it_kept_before_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:5])
        raise OSError(28, "No space left on device")

    spool = DiskSpool(tmp_path, bytes_max=MUCH)
    await spool.keep(signal(1))
    with monkeypatch.context() as patched:
        patched.setattr(spool_file, "write_all", refuse)
        assert await spool.keep(signal(2)) is Kept.FAILED
    assert await spool.keep(signal(3)) is Kept.KEPT
    assert await taken(spool) == [signal(1), signal(3)]


async def test_only_its_own_user_can_read_it(tmp_path: Path) -> None:
    await DiskSpool(tmp_path / "spool", bytes_max=MUCH).keep(signal(1))
    (file,) = (tmp_path / "spool").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
