"""How many Binance orders a second one process sends to the paper venue.

    python benchmarks/send.py [--seconds 5] [--at-once 64] [--profile FILE]

Starts a venue of its own on a free port. Prepares (signs), sends, reads and classifies each
order; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import uvloop

from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import BinanceBroker
from onefill.core.ids import client_order_id, lane_of
from onefill.core.intent import OrderIntent, OrderRequest, Side
from onefill.ports.clock import RealClock


def _intent() -> OrderIntent:
    order = OrderRequest(
        broker="binance", account="paper", symbol="SIM001", side=Side.BUY, quantity=Decimal(1)
    )
    return OrderIntent(
        client_order_id=client_order_id("bch", "0", "leg", "open", 1),
        lane=lane_of("bench", "SIM001"),
        portfolio="bench",
        instrument="SIM001",
        source="0",
        leg="leg",
        action="open",
        n=1,
        order=order,
        adds_exposure=True,
    )


async def _measure(url: str, seconds: float, at_once: int) -> dict[str, object]:
    broker = BinanceBroker(BinanceAccount(base_url=url), RealClock())
    await broker.start()
    numbers, pattern = itertools.count(), _intent()
    outcomes: Counter[str] = Counter()
    latencies_ms: list[float] = []
    end = time.perf_counter() + seconds

    async def work() -> None:
        while (begun := time.perf_counter()) < end:
            name = client_order_id("bch", str(next(numbers)), "leg", "open", 1)
            prepared = await broker.prepare(replace(pattern, client_order_id=name))
            outcomes[type(await broker.send(prepared)).__name__] += 1
            latencies_ms.append((time.perf_counter() - begun) * 1_000)

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    elapsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
    await broker.close()
    latencies_ms.sort()
    sent = len(latencies_ms)
    return {
        "sends_per_s": round(sent / elapsed),
        "cpu_us_per_send": round(cpu / sent * 1e6),
        "p50_ms": round(latencies_ms[sent // 2], 2),
        "p99_ms": round(latencies_ms[sent * 99 // 100], 2),
        "at_once": at_once,
        **outcomes,
    }


def main() -> None:
    """Start the venue, measure, stop the venue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--profile")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        venue = subprocess.Popen(
            [sys.executable, "-m", "onefill.venue", "--port", "0", "--data", data],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert venue.stdout is not None
        url = venue.stdout.readline().split()[-1]
        profile = cProfile.Profile() if wish.profile else None
        try:
            if profile is not None:
                profile.enable()
            print(json.dumps(uvloop.run(_measure(url, wish.seconds, wish.at_once))))
        finally:
            if profile is not None:
                profile.disable()
                profile.dump_stats(wish.profile)
            venue.terminate()
            venue.wait()


if __name__ == "__main__":
    main()
