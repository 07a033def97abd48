"""Checks the models with Spin: what must hold, what must fail, and what must be reachable.

    python verification/check.py [--quick] [--only TEXT] [--jobs N] [--trace]

A mutant that holds is as much a failure as a model that does not, and so is one that fails for
another reason than the named one. Exit code: 0 when everything came out as expected, 1 when not,
2 when Spin or gcc is missing. Source: requirement Q-2.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from runs import HOLDS, REACHED, RUNS, Run

HERE = Path(__file__).resolve().parent

SECONDS_MAX = 300
MEMORY_MIB_MAX = 3000
DEPTH_MAX = 2_000_000
TRACE_LINES = 60

_BUILD = ["gcc", "-O2", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB_MAX}", "-o", "pan", "pan.c"]
_SAFETY = ["-DSAFETY", "-DNOCLAIM"]
_LIVENESS = ["-DNFAIR=3"]

_ROW = f"{{:{max(len(run.name) for run in RUNS)}}} {{:22}} {{:42}} {{:>9}} {{:>7}}"
_VIOLATION = re.compile(r"pan:\d+: (.*) \(at depth \d+\)")
_STATES = re.compile(r"^\s*([\d.e+]+) states, stored", re.MULTILINE)
_WITNESS = "0"
"""What is left of the witness's `assert(false)`."""
_ERRORS = re.compile(r"errors: (\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found: HOLDS, REACHED, a violation's text, or why the search was cut short."""

    run: Run
    found: str
    states: int = 0
    seconds: float = 0.0
    trace: str = ""

    @property
    def is_expected(self) -> bool:
        """Whether it holds where it must, and fails at the expected place where it must."""
        if self.run.expected in (HOLDS, REACHED):
            return self.found == self.run.expected
        return self.found.startswith("violated: ") and self.run.expected in self.found


def check(run: Run, *, trace: bool = False) -> Result:
    """Search one variant of a model to its end, or to its first violation."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="onefill-spin-") as folder:
        try:
            result = _search(run, Path(folder), trace=trace)
        except subprocess.CalledProcessError as error:
            result = Result(run, f"not built: {(error.stdout or error.stderr).strip()[-300:]}")
        except subprocess.TimeoutExpired:
            result = Result(run, f"incomplete: longer than {SECONDS_MAX} s")
    return replace(result, seconds=time.monotonic() - started)


def _search(run: Run, folder: Path, *, trace: bool) -> Result:
    _write_model(run, folder / "model.pml")
    _call(["spin", "-a", "model.pml"], folder)
    _call([*_BUILD, *(_LIVENESS if run.ltl else _SAFETY)], folder)
    # -E: to wait for ever is no error here; -f: weak fairness.
    how = ["-a", "-f", "-N", run.ltl] if run.ltl else ["-E"]
    output = _call(["./pan", *how, f"-m{DEPTH_MAX}"], folder, check=False)
    found = _found(output)
    stored = _STATES.search(output)
    steps = _steps(folder) if trace and found.startswith("violated") else ""
    return Result(run, found, int(float(stored[1])) if stored else 0, trace=steps)


def _write_model(run: Run, path: Path) -> None:
    """The model with its switches in front (spin's own -D can't carry an expression)."""
    switches = [f"#define {name}" for name in run.defines]
    if run.reach:
        switches.append(f"#define REACH ({run.reach})")
    path.write_text("\n".join([*switches, (HERE / f"{run.model}.pml").read_text()]))


def _call(command: Sequence[str], folder: Path, *, check: bool = True) -> str:
    return subprocess.run(
        command,
        cwd=folder,
        check=check,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
    ).stdout


def _found(output: str) -> str:
    if "max search depth too small" in output:
        return f"incomplete: deeper than {DEPTH_MAX} steps"
    if "out of memory" in output or "memory exceeded" in output:
        return f"incomplete: more than {MEMORY_MIB_MAX} MiB"
    if (violation := _VIOLATION.search(output)) is not None:
        what = violation[1].removeprefix("assertion violated").strip()
        return REACHED if what == _WITNESS else f"violated: {what}"
    errors = _ERRORS.search(output)
    if errors is None or errors[1] != "0":
        return f"incomplete: {output.strip()[:300]}"
    return HOLDS


def _steps(folder: Path) -> str:
    lines = _call(["spin", "-t", "-p", "-g", "-l", "model.pml"], folder, check=False).splitlines()
    return "\n".join(lines[-TRACE_LINES:])


def _missing_tools() -> list[str]:
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if not missing and "Spin Version" not in _call(["spin", "-V"], HERE, check=False):
        return ["spin (the one here is another program of that name)"]
    return missing


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check the models with Spin.")
    parser.add_argument("--quick", action="store_true", help="leave the deep searches out")
    parser.add_argument("--only", default="", metavar="TEXT", help="runs whose name has the text")
    parser.add_argument("--trace", action="store_true", help="print the steps to each violation")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Check the chosen runs and print a line for each."""
    chosen = _arguments(words)
    if missing := _missing_tools():
        print(f"Not here: {', '.join(missing)}. Debian, Ubuntu: apt install spin gcc")
        return 2
    runs = [run for run in RUNS if chosen.only in run.name and not (chosen.quick and run.deep)]
    if not runs:
        print(f"No run has {chosen.only!r} in its name.")
        return 1
    print(_ROW.format("run", "expected", "found", "states", "seconds"))
    with ThreadPoolExecutor(max_workers=chosen.jobs) as pool:
        results = [_show(each) for each in pool.map(lambda r: check(r, trace=chosen.trace), runs)]
    wrong = [result.run.name for result in results if not result.is_expected]
    print(f"{len(results)} runs, {len(wrong)} not as expected", *wrong, sep="\n  ")
    return 1 if wrong else 0


def _show(result: Result) -> Result:
    run, mark = result.run, "" if result.is_expected else "  <-- not as expected"
    seconds = f"{result.seconds:.1f}"
    row = _ROW.format(run.name, run.expected, result.found, result.states, seconds)
    print(row + mark, flush=True)
    if result.trace:
        print(result.trace, flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
