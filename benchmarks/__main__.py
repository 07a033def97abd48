"""Measures onefill's speed beside pgbench in one run, and judges it by the floors and goals.

python benchmarks [--only p1,p3] [--seconds 10] [--full] [--database-url URL] [--check]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console

from databases import databases
from failover import p4, p5, p6
from figures import Row, print_table
from footprint import p7
from intake import p1, p2
from stage import Stage
from trade import p3

CHAPTERS = {"p1": p1, "p2": p2, "p3": p3, "p4": p4, "p5": p5, "p6": p6, "p7": p7}


def main() -> int:
    """Measure, print; 1 when --check was given and a floor does not hold."""
    wish = _arguments()
    console = Console(stderr=True, highlight=False)
    _tell_of_company(console)
    rows = uvloop.run(_measure(wish, console))
    if wish.json:
        print(json.dumps([{**asdict(row), "verdict": row.verdict} for row in rows]))
    else:
        print_table(rows, Console())
    return int(wish.check and any(row.verdict == "below" for row in rows))


def _tell_of_company(console: Console) -> None:
    """A busy machine makes every figure worse, latencies most of all."""
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    console.print(f"{cores} cores, load {busy:.1f} before we began", end="")
    console.print(": others are at work here, so trust ratios only" if busy > cores / 2 else "")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(CHAPTERS), help="such as p1,p3")
    parser.add_argument("--seconds", type=float, default=10, help="for each measurement")
    parser.add_argument(
        "--full",
        action="store_true",
        help="60 s held, 1,000,000 signals, 100 takeovers of each kind",
    )
    parser.add_argument("--database-url", help="a PostgreSQL to measure on; else an embedded one")
    parser.add_argument("--check", action="store_true", help="exit 1 when a floor does not hold")
    parser.add_argument("--json", action="store_true", help="for machines")
    wish = parser.parse_args()
    wish.chapters = [name.strip().lower().replace("-", "") for name in wish.only.split(",")]
    unknown = sorted(set(wish.chapters) - set(CHAPTERS))
    if unknown:
        parser.error(f"no chapter {unknown[0]}; there are {', '.join(CHAPTERS)}")
    return wish


async def _measure(wish: argparse.Namespace, console: Console) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="onefill-bench-") as name:
        folder = Path(name)
        async with databases(folder, wish.database_url) as server:
            stage = Stage(server, folder, wish.seconds, wish.full, console)
            rows: list[Row] = []
            for chapter in wish.chapters:
                rows += await CHAPTERS[chapter](stage)
            return rows


if __name__ == "__main__":
    sys.exit(main())
