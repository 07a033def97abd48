"""How long the machine had more to do than it could: what a time that is promised is judged by.

A promise such as «within two seconds» is of a machine that has time for it. On a busy one as much
longer is allowed as somebody waited for a processor or a disk meanwhile; whoever sleeps too long,
or waits for a time-out, waits for neither.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_PRESSURE = [Path("/proc/pressure/cpu"), Path("/proc/pressure/io")]


def strained_s() -> float:
    """Seconds of that kind since the machine was started, as the kernel counts them."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    idle, stolen = int(words[4]), int(words[8])
    a_second = os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
    if all(file.exists() for file in _PRESSURE):
        some = (file.read_text().splitlines()[0].split() for file in _PRESSURE)
        waited = sum(int(words[-1].removeprefix("total=")) for words in some) / 1e6
        return waited + stolen / a_second
    return (sum(map(int, words[1:9])) - idle) / a_second


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail when the block takes longer than that, by more than the machine's strain."""
    began, strained = time.monotonic(), strained_s()
    yield
    took, excuse = time.monotonic() - began, strained_s() - strained
    assert took - excuse <= seconds, f"it took {took:.2f} s, with {excuse:.2f} s of strain"
