"""`onefill replay --what-if`: the page's own command says what the page says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, environment

PAGE = (ROOT / "docs" / "what-if.md").read_text(encoding="utf-8")
TRADES = "docs/examples/trades.csv"


def onefill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onefill", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.req("SIG-20", "OPS-9")
def test_the_documented_command_says_what_the_page_says_and_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = shlex.split(block("sh").replace("\\\n", " "))
    picture = tmp_path / "what-if.png"
    done = onefill(*(str(picture) if part.endswith(".png") else part for part in command[1:]))
    assert done.returncode == 0, done.stderr
    told = lines(done.stdout)
    assert [line for line in lines(block("text")) if line not in told] == []
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.req("SIG-20")
def test_one_side_is_enough_and_each_signal_is_told() -> None:
    done = onefill("replay", TRADES, "--what-if", "--stop", "600", "--atr", "260", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (side,) = told["sides"]
    assert side["name"] == "as set"
    assert len(told["signals"]) == sum(count for *_, count in side["outcomes"])
    assert told["differing"] == 0


@pytest.mark.req("SIG-20", "IF-7", "IF-8")
@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ("caps.risk_precent=5", 1, "caps.risk_percent"),
        ("caps.risk_percent=much", 1, "valid decimal"),
        ("caps.risk_percent", 2, "KEY=VALUE"),
    ],
)
def test_a_setting_that_is_none_is_named(wanted: str, code: int, says: str) -> None:
    done = onefill("replay", TRADES, "--what-if", "--set", wanted)
    assert done.returncode == code
    assert says in done.stderr


@pytest.mark.req("SIG-20")
def test_what_a_webhook_would_refuse_is_not_rehearsed(tmp_path: Path) -> None:
    file = tmp_path / "signals.jsonl"
    file.write_text('{"action": "buy", "ticker": "X", "contracts": 1, "timestamp": 1700000000}\n')
    done = onefill("replay", str(file), "--what-if")
    assert done.returncode == 2
    assert "only signals of the portfolio engine" in done.stderr
