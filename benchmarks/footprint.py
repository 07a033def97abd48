"""P-7: memory after many signals, and how long a start takes."""

from __future__ import annotations

import asyncio
import shutil

from databases import fetch
from figures import Limits, Row, middle
from load import Signals, closed
from machine import exchange, instance, serving, settings
from stage import Stage

STARTS = 5
COLD_STARTS = 3
PART = 100_000
_UNDECIDED = "SELECT count(*) AS n FROM signal_log WHERE processing_status = 'received'"


async def p7(stage: Stage) -> list[Row]:
    """Starts first, on a quiet machine; then memory."""
    return [*await _starts(stage), *await _memory(stage)]


async def _starts(stage: Stage) -> list[Row]:
    url = await stage.databases.fresh()
    existing, cold = [], []
    for n in range(STARTS + 1):
        stage.tell(f"P-7: start on existing servers, {n} of {STARTS}")
        process = instance(stage.folder, "p7-start", "all")
        existing.append(await process.start(settings(url)))
        process.stop()
    for n in range(1, COLD_STARTS + 1):
        stage.tell(f"P-7: cold start with an embedded database, {n} of {COLD_STARTS}")
        process = instance(stage.folder, f"p7-cold-{n}", "all")
        cold.append(await process.start(settings("")))
        process.stop()
        shutil.rmtree(stage.folder / f"p7-cold-{n}", ignore_errors=True)
    warm = middle(existing[1:])  # the first one made the tables
    return [
        Row("P-7", "start to ready, existing servers", warm, "s", Limits(3, 2, 0.7)),
        Row("P-7", "start to ready, embedded, cold", middle(cold), "s", Limits(10, 6, 3)),
    ]


async def _memory(stage: Stage) -> list[Row]:
    """Each signal is taken in, logged and decided; there is nothing to close, so no order."""
    url = await stage.databases.fresh()
    total = 1_000_000 if stage.full else 2 * PART
    sizes = []
    async with (
        exchange(stage.folder) as venue,
        serving(stage.folder, "p7", url, venue_url=venue.url) as process,
    ):
        await process.until("/primary")
        signals = Signals(process.target, actions=("close",))
        for sent in range(PART, total + 1, PART):
            stage.tell(f"P-7: memory after {sent:,} of {total:,} signals")
            await closed(process.target, signals, connections=64, requests=PART)
            while (await fetch(url, _UNDECIDED))[0]["n"]:
                await asyncio.sleep(1)
            sizes.append(process.memory_mb)
    growth = (sizes[-1] - sizes[0]) / (len(sizes) - 1)
    return [
        Row("P-7", f"memory after {total:,} signals", sizes[-1], "MB", Limits(200, 150, 90)),
        Row("P-7", "  … growth per 100,000 after the first", growth, "MB"),
    ]
