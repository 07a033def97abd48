"""`onefill simulate` tells what broke, and how to see it again."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from onefill.cli.errors import Refused, Usage
from onefill.cli.main import app


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


def _told(result: Result) -> str:
    """All but the time that it took."""
    return result.stdout.rpartition(";")[0]


@pytest.mark.req("IF-7", "Q-3")
def test_whole_worlds_are_counted() -> None:
    result = simulate("--seeds", "3")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].startswith("3 worlds: ")


@pytest.mark.req("IF-7", "Q-3")
def test_worlds_side_by_side_are_the_same_worlds() -> None:
    wanted = ("--seeds", "16", "--class", "A", "--without", "durable")
    alone, beside = (simulate(*wanted, "--processes", many) for many in ("1", "2"))
    assert "Again: " in alone.output
    assert _told(beside) == _told(alone)


@pytest.mark.req("IF-7", "Q-3")
def test_a_broken_promise_is_shown_with_the_way_back() -> None:
    result = simulate("--seed", "0", "--mode", "active-active", "--without", "durable")
    assert isinstance(result.exception, Refused)
    assert "acknowledged_means_durable" in result.output
    again = "onefill simulate --seed 0 --mode active-active --without durable --trace"
    assert f"Again: {again}" in result.output


@pytest.mark.req("Q-3")
def test_a_trace_tells_what_happens() -> None:
    output = simulate("--seed", "0", "--trace").output
    assert "BECAME LEADER" in output
    assert "starts (boot 1)" in output


@pytest.mark.req("IF-7")
def test_an_unknown_protection_is_answered_with_those_that_there_are() -> None:
    error = simulate("--without", "luck").exception
    assert isinstance(error, Usage)
    assert "a claim compares" in error.remedy
