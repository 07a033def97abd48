"""The paper venue and the live brokers: reachable, and how far their clocks are off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onefill.cli.client import Client
from onefill.cli.doctoring.finding import Finding, fail, ok, skew, warn
from onefill.cli.errors import Refused, Unreachable
from onefill.config.settings import BROKERS, Settings
from onefill.ports.clock import Clock

BINANCE_URL = "https://fapi.binance.com"
_SKEW_MS = 500
_TIMEOUT_S = 5.0


def venues(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Every place to which orders may go."""
    yield from _paper(settings.venue_url, clock)
    for name in BROKERS:
        broker = settings.broker(name)
        strategies = [each for each in settings.strategies if settings.is_live(name, each)]
        if not broker.live:
            yield ok(name, "PAPER")
        elif not strategies:
            remedy = f"Set strategies.NAME.live = true, or brokers.{name}.live = false."
            yield warn(name, "is live, and no strategy is: all goes to paper", remedy)
        else:
            yield warn(name, f"LIVE for {', '.join(strategies)}", "Real money: make sure.")
            yield from _live(name, broker.base_url, clock)


def _paper(url: str, clock: Clock) -> Iterator[Finding]:
    try:
        health, ahead_ms = _timed(Client(url, timeout_s=_TIMEOUT_S), "/healthz", "time_ms", clock)
    except (Unreachable, Refused) as error:
        yield warn("paper venue", str(error), "Start it: `onefill exchange`.")
        return
    yield ok("paper venue", f"{url}, class {health.get('class')}")
    if ahead_ms is not None:
        yield skew("paper venue's clock", ahead_ms, worst_ms=_SKEW_MS)


def _live(name: str, base_url: str, clock: Clock) -> Iterator[Finding]:
    is_binance = name == "binance"
    client = Client(base_url or BINANCE_URL, timeout_s=_TIMEOUT_S)
    remedy = f"Mend brokers.{name}.base_url, or the network."
    try:
        if is_binance:
            _, ahead_ms = _timed(client, "/fapi/v1/time", "serverTime", clock)
        else:
            client.ask("GET", "/")
            ahead_ms = None
    except (Unreachable, Refused) as error:
        yield fail(f"{name} server", str(error), remedy)
        return
    yield ok(f"{name} server", client.url)
    if ahead_ms is not None:
        yield skew(f"{name} clock", ahead_ms, worst_ms=_SKEW_MS)


def _timed(
    client: Client, path: str, field: str, clock: Clock
) -> tuple[dict[str, Any], float | None]:
    """An answer, and by how many ms its clock is ahead of ours (None: it tells no time)."""
    before_ms = clock.wall().timestamp() * 1000
    answer: dict[str, Any] = client.get(path)
    middle_ms = (before_ms + clock.wall().timestamp() * 1000) / 2
    theirs_ms = answer.get(field)
    return answer, None if theirs_ms is None else float(theirs_ms) - middle_ms
