"""The house rules, checked over the whole source tree; and a checker that can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from house import requirements, rules
from house.rules import Source
from support import ROOT

PRODUCT = rules.read(ROOT / "src" / "onefill")
TESTS = rules.read(ROOT / "tests")

Rule = Callable[[Source], Iterator[str]]


def complaints(rule: Rule, sources: list[Source]) -> str:
    """What a rule says about the files, a line each."""
    return "\n".join(line for source in sources for line in rule(source))


@pytest.mark.parametrize(
    "rule",
    [
        rules.floor_violations,
        rules.impure_imports,
        rules.clock_and_chance,
        rules.long_functions,
        rules.long_file,
    ],
)
def test_the_product_keeps_the_rule(rule: Rule) -> None:
    assert complaints(rule, PRODUCT) == ""


@pytest.mark.parametrize("rule", [rules.test_habits, rules.long_test_file])
def test_the_tests_keep_the_rule(rule: Rule) -> None:
    assert complaints(rule, TESTS) == ""


def test_no_module_imports_itself_in_the_end() -> None:
    assert rules.circles(PRODUCT) == []


def test_nearly_all_functions_are_short() -> None:
    functions = [
        (lines, f"{source.path}: {name}, {lines} lines")
        for source in PRODUCT
        for _, name, lines in rules.functions_of(source)
    ]
    long = sorted((f for f in functions if f[0] > rules.FUNCTION_LINES_USUAL), reverse=True)
    shown = "\n".join(text for _, text in long[:20])
    assert len(long) <= (1 - rules.USUAL_SHARE) * len(functions), shown


LONG_FUNCTION = "def f():\n" + "    pass\n" * 60
PLANTED: list[tuple[Rule, str, str, str]] = [
    (rules.floor_violations, "core/a.py", "import onefill.ports.clock", "only downward"),
    (rules.floor_violations, "ports/a.py", "from onefill.config import b", "only downward"),
    (rules.floor_violations, "flow/a.py", "from onefill import postgres", "meet in ports"),
    (rules.floor_violations, "flow/a.py", "from onefill.flow.b import c", "meet in the store"),
    (rules.floor_violations, "web/a.py", "from onefill.node.b import c", "only downward"),
    (rules.floor_violations, "venue/a.py", "from onefill.ports.clock import d", "only core"),
    (rules.floor_violations, "flow/a.py", "from . import b", "in full"),
    (rules.floor_violations, "attic/a.py", "", "no such room"),
    (rules.impure_imports, "core/a.py", "import asyncio", "core is pure"),
    (rules.impure_imports, "core/portfolio/a.py", "from os import path", "core is pure"),
    (
        rules.clock_and_chance,
        "flow/a.py",
        "from datetime import datetime as d\nd.now()",
        "Clock.wall",
    ),
    (rules.clock_and_chance, "flow/a.py", "import datetime\nx = datetime.datetime.now", "wall"),
    (rules.clock_and_chance, "web/a.py", "from time import monotonic\nmonotonic()", "boottime_ms"),
    (rules.clock_and_chance, "venue/a.py", "import time as t\nt.time()", "Clock.wall"),
    (rules.clock_and_chance, "web/a.py", "import random\nrandom.choice([1])", "core.ids"),
    (rules.clock_and_chance, "web/a.py", "from random import choice\nchoice([1])", "core.ids"),
    (rules.clock_and_chance, "web/a.py", "from uuid import uuid4\nuuid4()", "core.ids"),
    (rules.long_functions, "web/a.py", LONG_FUNCTION, "61 lines"),
    (rules.long_file, "web/a.py", "\n" * 401, "401 lines"),
    (rules.test_habits, "unit/a.py", "import asyncio\nasyncio.sleep(1)", "until("),
    (rules.test_habits, "unit/a.py", "from time import sleep\nsleep(1)", "until("),
    (rules.test_habits, "unit/a.py", "from unittest.mock import Mock", "real part"),
    (rules.test_habits, "unit/a.py", "mocker.patch('x')", "real part"),
    (rules.test_habits, "unit/a.py", "import time\ntime.time()", "its own time"),
    (rules.test_habits, "unit/a.py", "assert True", "cannot change its mind"),
]


@pytest.mark.parametrize(("rule", "path", "text", "words"), PLANTED)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str, words: str) -> None:
    [complaint] = rule(Source(path, text))
    assert words in complaint


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (rules.floor_violations, "wiring.py", "from onefill.postgres.store import a"),
        (rules.floor_violations, "__main__.py", "from onefill.cli.main import main"),
        (rules.floor_violations, "lead/a.py", "from onefill.flow.b import c"),
        (rules.floor_violations, "flow/a.py", "from onefill.flow.backoff import Backoff"),
        (rules.floor_violations, "postgres/a.py", "from onefill.ports.lease import b"),
        (rules.floor_violations, "web/a.py", "from onefill import __version__"),
        (rules.clock_and_chance, "ports/clock.py", "import time\ntime.time()"),
        (rules.clock_and_chance, "flow/a.py", "clock.time()\nloop.time()\nself.random.choice()"),
        (rules.long_functions, "web/a.py", "def f():\n" + "    pass\n" * 59),
        (rules.test_habits, "web/a.py", "mocker.patch('x')"),
        (rules.test_habits, "support.py", "import asyncio\nasyncio.sleep(1)"),
        (rules.test_habits, "chaos/a.py", "import asyncio\nasyncio.sleep(1)"),
    ],
)
def test_what_is_allowed_is_not_complained_about(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_a_planted_circle_is_found() -> None:
    circle = [
        Source("flow/a.py", "from onefill.flow import b"),
        Source("flow/b.py", "from onefill.flow.c import d"),
        Source("flow/c.py", "import onefill.flow.a"),
        Source("flow/d.py", "import onefill.flow.a"),
    ]
    found = [line.partition(" ")[0] for line in rules.circles(circle)]
    assert found == ["onefill.flow.a", "onefill.flow.b", "onefill.flow.c"]


@pytest.mark.req("Q-8")
def test_requirements_without_a_test_and_marks_without_a_requirement_are_reported(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spec, tests = tmp_path_factory.mktemp("spec"), tmp_path_factory.mktemp("tests")
    (spec / "10.md").write_text(
        "| id | text |\n|---|---|\n| SIG-1 | Take in. |\n| SIG-2 | Log. |\n"
    )
    (tests / "test_a.py").write_text('@pytest.mark.req("SIG-2", "SIG-9")\ndef test_a(): ...\n')
    report = requirements.report(requirements.requirements_in(spec), requirements.marks_in(tests))
    assert [line.split(maxsplit=1) for line in report] == [
        ["SIG-1", "Take in."],
        ["SIG-9", "is marked but nowhere required"],
    ]
