"""The models of the protocol hold, their mutants fail, and the checker itself can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import ROOT, require

CHECK = ROOT / "verification" / "check.py"
SECONDS_MAX = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS_MAX)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`verification/check.py` with these arguments."""
    require("spin")
    require("gcc")
    return subprocess.run(
        [sys.executable, CHECK, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )


@pytest.mark.req("Q-2", "CTL-1", "CTL-2", "CTL-3", "CTL-6", "CTL-11", "CTL-12", "ORD-3", "ORD-7")
def test_each_model_holds_and_each_mutant_fails_where_it_should() -> None:
    done = run("--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 not as expected" in done.stdout


PLANTED = """
import check, runs
mutant = runs.Run(model="deadline", defines=("M_FROM_ANSWER",), expected={expected!r})
result = check.check(mutant)
print(result.found)
raise SystemExit(0 if result.is_expected else 1)
"""


@pytest.mark.req("Q-2")
@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ("time<until", 0),
        ("holds", 1),  # a model that should hold and does not
        ("acceptance cycle", 1),  # a mutant that fails, but not for the reason it should
    ],
)
def test_a_run_that_comes_out_otherwise_is_noticed(expected: str, code: int) -> None:
    require("spin")
    done = subprocess.run(
        [sys.executable, "-c", PLANTED.format(expected=expected)],
        cwd=CHECK.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "violated: !((time<until))", done.stderr
    assert done.returncode == code


@pytest.mark.req("Q-2")
def test_a_choice_that_matches_no_run_is_an_error() -> None:
    done = run("--only", "no such run")
    assert done.returncode == 1
    assert "No run" in done.stdout
