"""Prints the requirements that no test is marked with: `requirements.py [SPEC_DIR]`.

A requirement is a table row `| SIG-2 | ...` in a Markdown file of the folder (default: docs/spec).
A mark is `@pytest.mark.req("SIG-2")`, on a test, a class, a parameter or in `pytestmark`.
Exit code: 0 when each has a test and each mark has a requirement, else 1.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
DEFAULT_SPEC = TESTS.parent / "docs" / "spec"
_ROW = re.compile(r"^\|\s*([A-Z]+-\d+)\s*\|\s*(.*)$", re.MULTILINE)
_SUMMARY_CHARACTERS = 90


def requirements_in(spec: Path) -> dict[str, str]:
    """Each requirement's id and the beginning of its text, in the order of the files."""
    return {
        number: text[:_SUMMARY_CHARACTERS].rstrip(" |")
        for file in sorted(spec.glob("*.md"))
        for number, text in _ROW.findall(file.read_text(encoding="utf-8"))
    }


def marks_in(tests: Path) -> set[str]:
    """The ids that the tests below a folder are marked with."""
    return {
        number
        for file in tests.rglob("*.py")
        for number in _marks_of(ast.parse(file.read_text(encoding="utf-8")))
    }


def _marks_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.req"):
            yield from (str(id_.value) for id_ in node.args if isinstance(id_, ast.Constant))


def report(required: dict[str, str], marked: set[str]) -> list[str]:
    """A line for each requirement without a test and for each mark without a requirement."""
    untested = [f"{number:8} {text}" for number, text in required.items() if number not in marked]
    unknown = [f"{number:8} is marked but nowhere required" for number in sorted(marked)]
    return untested + [line for line in unknown if line.split()[0] not in required]


def main(arguments: list[str]) -> int:
    """Print the report on the folder that the arguments name."""
    spec = Path(arguments[0]) if arguments else DEFAULT_SPEC
    required = requirements_in(spec)
    if not required:
        print(f"No requirements in {spec}. Give the folder: requirements.py SPEC_DIR")
        return 2
    lines = report(required, marks_in(TESTS))
    print(*lines, f"{len(required)} requirements, {len(lines)} lines above", sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
