"""The ledger: durable before an answer, whole after a crash."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from pathlib import Path

import pytest

from onefill.core.errors import ConfigurationError
from onefill.venue.ledger import FILE_NAME, Ledger, LedgerBroken, LedgerLost
from onefill.venue.orders import Entry


def priced(price: int) -> Entry:
    return Entry(prices={"SIM001": Decimal(price)})


def write(folder: Path, *entries: Entry) -> None:
    ledger = Ledger(folder)
    for entry in entries:
        ledger.append(entry)
    ledger.close()


def read(folder: Path) -> list[Entry]:
    ledger = Ledger(folder)
    try:
        return list(ledger.read())
    finally:
        ledger.close()


class CountingLedger(Ledger):
    """Counts how often the disk is forced, and can fail like a full one."""

    forced = 0
    is_full = False

    def _force(self, data: bytes) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.forced += 1
        super()._force(data)


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize("tail", [b'{"prices":{"SIM0', b'{"prices":{"SIM001":\n', b"\x00\x00\x00"])
def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, priced(1), priced(2))
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(tail)
    assert read(tmp_path) == [priced(1), priced(2)]
    ledger = Ledger(tmp_path)
    list(ledger.read())
    ledger.append(priced(3))
    ledger.close()
    assert read(tmp_path) == [priced(1), priced(2), priced(3)]


def test_a_broken_line_in_the_middle_is_refused_not_skipped(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'{"prices":{}}\n{"pri\n{"prices":{}}\n')
    with pytest.raises(LedgerBroken):
        read(tmp_path)


def test_a_second_venue_on_the_same_data_is_refused(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    with pytest.raises(ConfigurationError, match="another venue"):
        Ledger(tmp_path)
    first.close()


@pytest.mark.req("ORD-13")
async def test_what_is_durable_is_on_the_disk_and_waiters_share_a_write(tmp_path: Path) -> None:
    ledger = CountingLedger(tmp_path)
    writer = asyncio.create_task(ledger.write_for_ever())

    async def one(price: int) -> None:
        ledger.append(priced(price))
        await ledger.durable()
        assert f'"{price}"'.encode() in ledger.path.read_bytes()

    await asyncio.gather(*(one(price) for price in range(1, 101)))
    assert ledger.forced < 100
    writer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writer
    ledger.close()


async def test_a_full_disk_is_never_answered_as_done(tmp_path: Path) -> None:
    ledger = CountingLedger(tmp_path)
    ledger.is_full = True
    writer = asyncio.create_task(ledger.write_for_ever())
    ledger.append(priced(1))
    with pytest.raises(LedgerLost):
        await ledger.durable()
    with pytest.raises(LedgerLost):
        await ledger.durable()
    writer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writer
    ledger.close()
