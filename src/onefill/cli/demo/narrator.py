"""Tells what happens, from what the instance's API says: one calm line an event."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from onefill.cli.client import Client
from onefill.cli.delivery import is_end
from onefill.cli.errors import Refused, Unreachable
from onefill.cli.look import POSITIONS, portfolio_line
from onefill.cli.output import Row, coloured, console, escaped, grouped, table
from onefill.ports.clock import Clock

POLL_S = 0.4
TABLE_EVERY_S = 20.0
_PAGE = 50


class Narrator:
    """Follows signals to their ends, and shows the positions now and then."""

    def __init__(self, prod: Client, clock: Clock) -> None:
        self._prod = prod
        self._clock = clock
        self._active: str | None = None
        self._told: dict[int, str] = {}
        self._duplicates: dict[int, int] = {}
        self._away_since_ms: float | None = None

    async def run(self) -> None:
        """Tell until cancelled."""
        table_due_ms = self._clock.boottime_ms() + TABLE_EVERY_S * 1000
        while True:
            try:
                for line in await asyncio.to_thread(self._news):
                    self.say(line)
                if self._clock.boottime_ms() >= table_due_ms:
                    table_due_ms += TABLE_EVERY_S * 1000
                    await asyncio.to_thread(self._show_positions)
            except Unreachable:
                self._note_absence()
            except Refused as error:
                self.say(f"[yellow]they refuse to tell more[/]: {escaped(error)}")
            else:
                self._note_return()
            await self._clock.sleep(POLL_S)

    def say(self, line: str) -> None:
        """One line with its time."""
        console().print(f"[dim]{self._clock.wall():%H:%M:%S}[/] {line}")

    def died(self, name: str, code: int) -> None:
        """A process ended by itself."""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.say(f"[bold red]{name} died[/] ({how}); it is started again")

    def _change_of_leader(self) -> str | None:
        active = self._prod.get("/api/ginie/instance-status")["active_instance"]
        before, self._active = self._active, active or self._active
        if active is None or active == before:
            return None
        return f"[bold green]{escaped(active)} is ACTIVE[/] - Trading"

    def _news(self) -> list[str]:
        """What happened since the last look."""
        change = self._change_of_leader()
        return ([change] if change is not None else []) + self._news_of_signals()

    def _news_of_signals(self) -> list[str]:
        rows = self._prod.get("/api/signals", limit=_PAGE)["items"]
        return [line for row in reversed(rows) for line in self._news_of(row)]

    def _news_of(self, row: Row) -> Iterator[str]:
        number, status = int(row["id"]), str(row["status"])
        if (is_end(status) or status == "in_doubt") and self._told.get(number) != status:
            self._told[number] = status
            story = self._prod.get(f"/api/signals/{number}")
            yield signal_line(row, story)
            yield from order_lines(story)
        if int(row["duplicates"]) > self._duplicates.get(number, 0):
            self._duplicates[number] = int(row["duplicates"])
            yield f"[dim]signal {number} came again: recognised, nothing is traded twice[/]"

    def _show_positions(self) -> None:
        rows = self._prod.get("/api/positions", limit=_PAGE)["items"]
        answer = self._prod.ask("GET", "/api/portfolio")
        if rows:
            console().print(table("Positions", POSITIONS, rows))
        if answer.is_good:
            console().print(portfolio_line(answer.body))

    def _note_absence(self) -> None:
        if self._away_since_ms is None:
            self._away_since_ms = self._clock.boottime_ms()
            self.say("[yellow]nobody answers; senders try again[/]")

    def _note_return(self) -> None:
        if self._away_since_ms is not None:
            away_s = (self._clock.boottime_ms() - self._away_since_ms) / 1000
            self._away_since_ms = None
            self.say(f"[green]Somebody answers again[/] after {away_s:.1f} s; nothing is lost")


def signal_line(row: Row, story: Mapping[str, Any]) -> str:
    """A signal and its end: what it was, whether it traded, what limited its size."""
    price = (story.get("payload") or {}).get("price")
    at = f" at {grouped(price)}" if price else ""
    limited = f", limited by {escaped(story['limiter'])}" if story.get("limiter") else ""
    reason = f" ({escaped(row['reason'])})" if row["reason"] else ""
    return (
        f"signal {row['id']} [bold]{escaped(row['kind'])}[/] {escaped(row['instrument'])}{at}: "
        f"{coloured(str(row['status']))}{reason}{limited}"
    )


def order_lines(story: Mapping[str, Any]) -> Iterator[str]:
    """The orders that a signal led to."""
    for entry in story["orders"]:
        order = entry["order"]
        price = order["average_price"]
        at = f" at {grouped(price)}" if price else ""
        side = "[green]BUY[/]" if order["side"] == "BUY" else "[magenta]SELL[/]"
        yield (
            f"  {side} {grouped(order['quantity'], 6)} {escaped(order['symbol'])}{at} "
            f"{coloured(str(order['state']))}"
        )
