"""The rules of the house as functions from source text to complaints; each names what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeGuard

FLOORS = {
    "core": 1,
    **dict.fromkeys(("ports", "config", "embedded", "venue"), 2),
    **dict.fromkeys(("flow", "lead", "jobs"), 3),
    **dict.fromkeys(("keeping", "postgres", "redis", "disk", "brokers"), 3),
    **dict.fromkeys(("web", "node"), 4),
    **dict.fromkeys(("wiring", "sim"), 5),
    "cli": 6,
    "__main__": 7,
}
WINGS = ({"flow", "lead", "jobs"}, {"keeping", "postgres", "redis", "disk", "brokers"})
"""Rooms of one floor that may know each other; the loops and the outside meet in ports."""
FLOW_HELPERS = {"flow.backoff", "flow.looking"}
"""Files of flow that are no loops, and keep nothing; the loops may share them."""

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_USUAL = 35
USUAL_SHARE = 0.9
FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600

_IMPURE = (
    "asyncio io logging os random secrets shutil socket subprocess tempfile threading time uuid"
)
CORE_BANS = {
    name: f"core is pure: take what {name} gives as an argument, or ask a port one floor up"
    for name in (*_IMPURE.split(), "structlog", "asyncpg", "aiohttp", "httpx")
}
_WALL = "ask Clock.wall() of ports"
_DEADLINE = "ask Clock.boottime_ms() of ports"
_DERIVED = "derive it from its source with core.ids"
CLOCK_BANS = {
    "datetime.datetime.now": _WALL,
    "datetime.datetime.utcnow": _WALL,
    "datetime.datetime.today": _WALL,
    "datetime.date.today": _WALL,
    "time.time": _WALL,
    "time.time_ns": _WALL,
    "time.monotonic": _DEADLINE,
    "time.monotonic_ns": _DEADLINE,
    "time.perf_counter": _DEADLINE,
    "time.perf_counter_ns": _DEADLINE,
    "time.clock_gettime": _DEADLINE,
    "time.clock_gettime_ns": _DEADLINE,
    "time.sleep": "await Clock.sleep() of ports",
    "random": _DERIVED,
    "uuid.uuid1": _DERIVED,
    "uuid.uuid4": _DERIVED,
}
CLOCK_FILES = {"ports/clock.py", "venue/clock.py", "sim/chance.py"}

_WAIT = "wait for a condition: await until(condition, seconds) of tests/support.py"
_REAL = "run the real part, or write a small class that keeps the port's contract"
TEST_BANS = {
    "time.sleep": _WAIT,
    "asyncio.sleep": _WAIT,
    "datetime.datetime.now": "give the test its own time",
    "datetime.datetime.utcnow": "give the test its own time",
    "time.time": "give the test its own time",
}
MOCK_BANS = {"unittest.mock": _REAL, "mock": _REAL}
SLEEPING_FILES = {"support.py"}
REAL_TIME_ROOMS = {"chaos"}
"""Where real processes run on real time: killers have a pace there, and senders a clock."""


@dataclass(frozen=True)
class Source:
    """A Python file: its path below its root (`src/onefill` or `tests`), with slashes; its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text, self.path)

    @property
    def parts(self) -> tuple[str, ...]:
        """`("flow", "intake")` for `flow/intake.py`; `("flow",)` for `flow/__init__.py`."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def room(self) -> str:
        """The first folder, or the file's own name; empty for the package itself."""
        return self.parts[0] if self.parts else ""

    @property
    def module(self) -> str:
        """The name under which the product imports it."""
        return ".".join(("onefill", *self.parts))

    def at(self, node: ast.AST, complaint: str) -> str:
        """A complaint about a place of this file."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {complaint}"


def read(root: Path) -> list[Source]:
    """Every Python file below a folder."""
    return [
        Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.py"))
    ]


def imports_of(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Each imported name in full (`a.b` for `import a.b` and for `from a import b`)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def floor_violations(source: Source) -> Iterator[str]:
    """Imports that do not go down, and rooms without a floor."""
    if source.room and source.room not in FLOORS:
        yield f"{source.path}:1: no such room: give {source.room} a floor in tests/house/rules.py"
        return
    for node, name in imports_of(source):
        if name.startswith("."):
            yield source.at(node, f"{name}: write the import in full, from onefill on")
        elif complaint := _forbidden_way(source, name):
            yield source.at(node, f"imports {name}: {complaint}")


def _forbidden_way(source: Source, name: str) -> str | None:
    product, _, rest = name.partition(".")
    target = rest.partition(".")[0]
    if product != "onefill" or target not in FLOORS or not source.room:
        return None
    if target == source.room:
        return _forbidden_inside(source, rest)
    if source.room == "venue" and target != "core":
        return "the paper venue shares only core with the product"
    if any({source.room, target} <= wing for wing in WINGS):
        return None
    if FLOORS[target] >= FLOORS[source.room]:
        return "imports go only downward: meet in ports, and let wiring join the parts"
    return None


def _forbidden_inside(source: Source, rest: str) -> str | None:
    shared = {".".join(source.parts), *FLOW_HELPERS}
    if source.room == "flow" and not {rest, rest.rpartition(".")[0]} & shared:
        return "files of flow never import each other: they meet in the store"
    return None


def circles(sources: list[Source]) -> list[str]:
    """Modules of the product that reach themselves through their imports."""
    modules = {source.module for source in sources}
    graph = {source.module: _imported_modules(source, modules) for source in sources}
    return [
        f"{module} imports itself in the end: move what both need to a lower file"
        for module in sorted(graph)
        if module in _reachable(graph, graph[module])
    ]


def _imported_modules(source: Source, modules: set[str]) -> set[str]:
    names = {name for _, name in imports_of(source)}
    return {name if name in modules else name.rpartition(".")[0] for name in names} & modules


def _reachable(graph: dict[str, set[str]], starts: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(graph[module])
    return seen


def impure_imports(source: Source) -> Iterator[str]:
    """What core may not import."""
    if source.room != "core":
        return
    for node, name in imports_of(source):
        if remedy := CORE_BANS.get(name.partition(".")[0]):
            yield source.at(node, f"imports {name}: {remedy}")


def uses_of(source: Source, bans: dict[str, str]) -> Iterator[str]:
    """Uses of banned names, under whatever name they were imported."""
    aliases = _aliases(source)
    nodes = [n for n in ast.walk(source.tree) if isinstance(n, ast.Attribute | ast.Name)]
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    yields = {id(node.func) for node in ast.walk(source.tree) if _is_a_mere_yield(node)}
    for node in nodes:
        if id(node) not in owners | yields:
            full = _in_full(node, aliases)
            if remedy := _ban(full, bans):
                yield source.at(node, f"{full}: {remedy}")


def _is_a_mere_yield(node: ast.AST) -> TypeGuard[ast.Call]:
    """sleep(0) waits for nothing: it lets other tasks of the loop have their turn."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("sleep")
        and [ast.unparse(argument) for argument in node.args] == ["0"]
    )


def _aliases(source: Source) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                aliases[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return aliases


def _in_full(node: ast.AST, aliases: dict[str, str]) -> str:
    match node:
        case ast.Name(id=name):
            return aliases.get(name, "")
        case ast.Attribute(value=value, attr=attribute):
            owner = _in_full(value, aliases)
            return f"{owner}.{attribute}" if owner else ""
    return ""


def _ban(full: str, bans: dict[str, str]) -> str | None:
    if full in bans:
        return bans[full]
    return bans.get(full.partition(".")[0]) if full else None


def clock_and_chance(source: Source) -> Iterator[str]:
    """Clocks and dice outside the files that make the real clocks."""
    if source.path not in CLOCK_FILES:
        yield from uses_of(source, CLOCK_BANS)


def functions_of(source: Source) -> Iterator[tuple[ast.AST, str, int]]:
    """Each function, its name and its number of lines."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def long_functions(source: Source) -> Iterator[str]:
    """Functions that are too long."""
    for node, name, lines in functions_of(source):
        if lines > FUNCTION_LINES_MAX:
            yield source.at(node, f"{name} has {lines} lines: give each step a function of its own")


def long_file(source: Source) -> Iterator[str]:
    """Files that are too long."""
    yield from _longer_than(source, FILE_LINES_MAX)


def long_test_file(source: Source) -> Iterator[str]:
    """Files of tests that are too long; a table of cases may be longer than a part."""
    yield from _longer_than(source, TEST_FILE_LINES_MAX)


def _longer_than(source: Source, most: int) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > most:
        yield f"{source.path}:1: {lines} lines: one subject a file, {most} at the most"


def test_habits(source: Source) -> Iterator[str]:
    """Sleeps, wall clocks, mocks, and asserts that cannot fail."""
    if source.path not in SLEEPING_FILES and source.room not in REAL_TIME_ROOMS:
        yield from uses_of(source, TEST_BANS)
    if source.room != "web":
        yield from _mocks(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant | ast.Tuple):
            yield source.at(node, "this assert cannot change its mind: assert what the test shows")


def _mocks(source: Source) -> Iterator[str]:
    for node, name in imports_of(source):
        if any(name == ban or name.startswith(f"{ban}.") for ban in MOCK_BANS):
            yield source.at(node, f"imports {name}: {_REAL}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "patch":
            yield source.at(node, f"patch(): {_REAL}")
