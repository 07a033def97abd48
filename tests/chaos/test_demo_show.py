"""The demonstration, as people run it: two instances, and control that goes there and back."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import support

TAKEOVERS = 10
STEPS = ("requested", "ready", "draining", "drained", "transferred", "active")


@pytest.mark.long
@pytest.mark.req("OPS-5", "CTL-11", "P-5", "Q-1")
async def test_control_goes_there_and_back_ten_times_under_signals_with_each_step_timed(
    tmp_path: Path,
) -> None:
    ports = {name: str(support.free_port()) for name in ("--port", "--dev-port", "--venue-port")}
    options = [part for pair in ports.items() for part in pair]
    command = [sys.executable, "-m", "onefill", "demo", "--takeovers", str(TAKEOVERS), *options]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--data", str(tmp_path / "demo")],
        env=support.environment(COLUMNS="300"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if f" of {TAKEOVERS}:" in line]
    assert len(told) == TAKEOVERS
    for number, line in enumerate(told, 1):
        assert f"takeover {number} of {TAKEOVERS}" in line
        for step in STEPS:
            assert re.search(rf"{step} by (prod|dev) \+\d+ ms", line), line
    assert "duplicates 0" in done.stdout
    assert "missed 0" in done.stdout
