"""A picture is drawn from the API's answer, and by nobody but the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from onefill.cli.charting import draw
from support import environment

CURVE = {
    "portfolio": "main",
    "initial_capital": "5000000",
    "closed_equity": "5004000",
    "points": [
        {"at": "2026-01-05T09:15:00Z", "equity": "5010000", "drawdown_percent": "0"},
        {"at": "2026-01-06T09:15:00Z", "equity": "5004000", "drawdown_percent": "0.1198"},
    ],
}


@pytest.mark.req("PF-14", "IF-7")
@pytest.mark.parametrize("points", [CURVE["points"], []])
def test_a_curve_becomes_a_png(tmp_path: Path, points: object) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "equity.png"
    draw({**CURVE, "points": points}, file)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 5_000


@pytest.mark.req("IF-7")
def test_no_instance_loads_the_library_that_draws() -> None:
    code = (
        "import onefill.wiring.instance, onefill.cli.main, sys; print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
