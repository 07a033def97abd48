"""P-3: from a signal to its order at the venue, and how many are booked a second."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime
from urllib.request import urlopen

from databases import fetch
from figures import Limits, Row, percentile
from load import Signals, closed, open_loop
from machine import Process, exchange, serving
from stage import Stage

IDLE_A_SECOND = 20
IDLE_SAMPLES = 300
BOOKED_WITHIN_S = 180.0
_ENDS = ["executed", "ignored", "rejected", "blocked", "expired", "failed"]


async def p3(stage: Stage) -> list[Row]:
    """Idle latency, a middling pace, then as much as it can take."""
    url = await stage.databases.fresh()
    async with (
        exchange(stage.folder) as venue,
        serving(stage.folder, "p3", url, venue_url=venue.url) as process,
    ):
        await process.until("/primary")
        signals = Signals(process.target)
        await _executed(process, signals, url, 400)
        rows = await _idle(stage, process, venue, signals, url)
        return rows + await _saturated(stage, process, signals, url)


async def _idle(
    stage: Stage, process: Process, venue: Process, signals: Signals, url: str
) -> list[Row]:
    """From the sending of the webhook to the venue's own time stamps, one at a time."""
    stage.tell(f"P-3: signal to order, idle, {IDLE_SAMPLES} signals")
    sent: dict[int, float] = {}
    ids: dict[int, int] = {}

    def answered(number: int, body: bytes) -> None:
        ids[json.loads(body)["signal_id"]] = number

    await open_loop(
        [process.target],
        signals,
        a_second=IDLE_A_SECOND,
        seconds=IDLE_SAMPLES / IDLE_A_SECOND,
        connections=4,
        sent=sent.__setitem__,
        answered=answered,
    )
    await _until_booked(url)
    query = "SELECT signal_id, client_order_id FROM order_intents WHERE signal_id = ANY($1)"
    orders = {
        row["client_order_id"]: row["signal_id"] for row in await fetch(url, query, list(ids))
    }
    ledger = await asyncio.to_thread(_ledger, venue)
    received, executed = [], []
    for order in ledger["orders"]:
        if (signal := orders.get(order["client_order_id"])) is not None:
            since = sent[ids[signal]]
            received.append((_seconds(order["received_at"]) - since) * 1000)
            executed.append((_seconds(order["executed_at"]) - since) * 1000)
    if len(received) != IDLE_SAMPLES:
        raise SystemExit(f"of {IDLE_SAMPLES} signals {len(received)} became orders")
    work = "signal sent → order received at the venue, idle"
    return [
        Row("P-3", f"{work}: p50", percentile(received, 50), "ms", Limits(30, 10, 5)),
        Row("P-3", f"{work}: p99", percentile(received, 99), "ms", Limits(100, 40, 15)),
        Row("", "  … → executed: p50", percentile(executed, 50), "ms"),
        Row("", "  … → executed: p99", percentile(executed, 99), "ms"),
    ]


async def _saturated(stage: Stage, process: Process, signals: Signals, url: str) -> list[Row]:
    count = round(600 * stage.seconds) // 200 * 200
    stage.tell(f"P-3: {count} signals over 100 lanes, received → filled → booked, saturated")
    rate = await _executed(process, signals, url, count)
    work = "received → filled → booked, 100 lanes, saturated"
    return [Row("P-3", work, rate, "/s", Limits(150, 500, 1500))]


async def _executed(process: Process, signals: Signals, url: str, count: int) -> float:
    """Send so many as fast as they are taken in; booked ones a second, over all of that time."""
    last = (await fetch(url, "SELECT coalesce(max(id), 0) AS id FROM signal_log"))[0]["id"]
    answers = await closed(process.target, signals, connections=32, requests=count)
    if answers.good != count:
        raise SystemExit(f"not all were taken in: {dict(answers.statuses)}")
    await _until_booked(url)
    rows = await fetch(
        url,
        """SELECT processing_status, reason, count(*) AS n, min(received_at) AS first,
                  max(ended_at) AS last
           FROM signal_log WHERE id > $1 GROUP BY 1, 2""",
        last,
    )
    ends = Counter({(row["processing_status"], row["reason"]): row["n"] for row in rows})
    if ends[("executed", None)] != count:
        raise SystemExit(f"not all were executed: {dict(ends)}")
    return float(count / (rows[0]["last"] - rows[0]["first"]).total_seconds())


async def _until_booked(url: str) -> None:
    query = "SELECT count(*) AS n FROM signal_log WHERE processing_status <> ALL($1)"
    async with asyncio.timeout(BOOKED_WITHIN_S):
        while (await fetch(url, query, _ENDS))[0]["n"]:
            await asyncio.sleep(0.5)


def _ledger(venue: Process) -> dict[str, list[dict[str, str]]]:
    with urlopen(f"{venue.url}/ledger") as answer:
        return dict(json.load(answer))


def _seconds(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()
