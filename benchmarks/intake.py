"""P-1 and P-2: how many webhooks become durable, and how soon each is answered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

from databases import Yardstick, execute, fetch, pgbench
from figures import Limits, Row, middle
from load import Answers, Signals, Target, at_once, closed, open_loop
from machine import Process, free_port, serving
from stage import Stage

ROUNDS = 3
P1_CONNECTIONS = 64
P1_CLIENTS = 32
HELD_A_SECOND = 1000
BURST = 1000
BURSTS = 5


async def p1(stage: Stage) -> list[Row]:
    """Durable webhooks a second beside pgbench, in turn; and beside a plain Flask webhook."""
    url = await stage.databases.fresh()
    rates: list[float] = []
    bars: list[float] = []
    latencies: list[float] = []
    async with serving(stage.folder, "p1", url, role="intake") as process:
        signals = Signals(process.target)
        await _warm_up(process.target, signals)
        for n in range(1, ROUNDS + 1):
            stage.tell(f"P-1 round {n} of {ROUNDS}: pgbench, {P1_CLIENTS} clients")
            await execute(url, "CHECKPOINT")
            bars.append((await _pgbench(stage, url)).a_second)
            stage.tell(f"P-1 round {n} of {ROUNDS}: onefill, {P1_CONNECTIONS} connections")
            await execute(url, "CHECKPOINT")
            answers = await closed(
                process.target, signals, connections=P1_CONNECTIONS, seconds=stage.seconds
            )
            rates.append(answers.each_second)
            latencies.append(answers.ms(99))
    bar = middle(bars)
    ratio = middle([rate / one for rate, one in zip(rates, bars, strict=True)])
    rows = [
        Row(
            "", f"pgbench, one row a commit, {P1_CLIENTS} clients", bar, "/s", note="the yardstick"
        ),
        Row(
            "P-1",
            f"durable webhooks, {P1_CONNECTIONS} connections",
            middle(rates),
            "/s",
            Limits(0.5, 1.0, 1.8),
            ratio,
            "pgbench",
            judges_ratio=True,
        ),
        Row("", "  … p99 of their answers", middle(latencies), "ms"),
    ]
    return rows + await _flask(stage, url, bar)


async def _pgbench(stage: Stage, url: str) -> Yardstick:
    return await pgbench(url, stage.folder, clients=P1_CLIENTS, seconds=stage.seconds)


async def _flask(stage: Stage, url: str, bar: float) -> list[Row]:
    if any(find_spec(name) is None for name in ("flask", "psycopg2", "gunicorn")):
        stage.tell("P-1 without Flask: install the dependency group `bench` to compare with it")
        return []
    stage.tell("P-1: a plain Flask and psycopg2 webhook")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    command += ["--threads", "4", "--keep-alive", "75", "--chdir", str(Path(__file__).parent)]
    process = Process([*command, "flask_webhook:app"], port, "/ready", stage.folder / "flask.log")
    try:
        await process.start({"BENCH_DATABASE_URL": url})
        signals = Signals(process.target)
        answers = await closed(process.target, signals, connections=8, seconds=stage.seconds)
    finally:
        process.stop()
    rate = answers.each_second
    work = "Flask and psycopg2, gunicorn 2 × 4 threads, 8 connections"
    return [Row("", work, rate, "/s", None, rate / bar, "pgbench", note="for comparison")]


async def p2(stage: Stage) -> list[Row]:
    """A steady 1000 a second, and 1000 at the same instant, on one instance and on two."""
    rows: list[Row] = []
    for count in (1, 2):
        url = await stage.databases.fresh()
        async with AsyncExitStack() as stack:
            targets = [
                (
                    await stack.enter_async_context(
                        serving(stage.folder, f"p2-{count}-{n}", url, role="intake")
                    )
                ).target
                for n in range(count)
            ]
            rows += await _held(stage, url, targets)
    return rows


async def _held(stage: Stage, url: str, targets: Sequence[Target]) -> list[Row]:
    count = len(targets)
    signals = Signals(targets[0])
    for target in targets:
        await _warm_up(target, signals)
    before = await _logged(url)
    stage.tell(f"P-2: {HELD_A_SECOND} a second for {stage.held_s:g} s on {count} instance(s)")
    held = await open_loop(targets, signals, a_second=HELD_A_SECOND, seconds=stage.held_s)
    stage.tell(f"P-2: {BURST} at once, {BURSTS} times, on {count} instance(s)")
    bursts = [await at_once(targets, signals, count=BURST) for _ in range(BURSTS)]
    logged = await _logged(url) - before
    _check_durable(logged, [held, *bursts])
    burst_ms = middle([burst.ms(95) for burst in bursts])
    name = f"{count} instance{'s' if count > 1 else ''}"
    work = f"webhooks at {HELD_A_SECOND}/s for {stage.held_s:g} s, {name}"
    return [
        Row("P-2", f"{work}: p95", held.ms(95), "ms", Limits(50, 20, 5)),
        Row("P-2", f"{work}: p99", held.ms(99), "ms", Limits(100, 50, 15)),
        Row(
            "P-2",
            f"{BURST} at the same instant, {name}: p95",
            burst_ms,
            "ms",
            Limits(400, 200, 100),
        ),
    ]


async def _warm_up(target: Target, signals: Signals) -> None:
    await closed(target, signals, connections=16, requests=2_000)


async def _logged(url: str) -> int:
    return int((await fetch(url, "SELECT count(*) AS n FROM signal_log"))[0]["n"])


def _check_durable(logged: int, parts: Sequence[Answers]) -> None:
    """A figure counts only if every answer was 200 and every signal is in the log."""
    answered = sum(len(part.latencies_ms) for part in parts)
    good = sum(part.good for part in parts)
    if not answered == good == logged:
        raise SystemExit(f"of {answered} answers {good} were 200, and {logged} are in the log")
