"""One demonstration from the curtain to the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onefill.cli.delivery import Courier
from onefill.cli.demo.feed import Feed
from onefill.cli.demo.narrator import Narrator
from onefill.cli.demo.sender import Sender
from onefill.cli.demo.stage import Ports, Stage, free_port, stage
from onefill.cli.demo.summary import Verdict, everything, judge, settled, tell
from onefill.cli.demo.takeovers import Takeovers
from onefill.cli.errors import OK, REFUSED, Refused, Unreachable
from onefill.cli.output import badge, console, errors
from onefill.ports.clock import Clock, RealClock

_PATIENCE_S = 30.0
_SETTLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line asks for; None: for ever, never."""

    data: Path | None
    port: int
    dev_port: int
    venue_port: int
    run_s: float | None
    kill_every_s: float | None
    takeovers: int | None


@dataclass(slots=True)
class Deaths:
    """Tells and counts the instances' deaths."""

    narrator: Narrator | None = None
    count: int = 0

    def __call__(self, name: str, code: int) -> None:
        self.count += name in ("prod", "dev")
        if self.narrator is not None:
            self.narrator.died(name, code)


async def show(wishes: Wishes) -> int:
    """Run until the time is over or Ctrl-C; the exit code: whether every signal filled once."""
    clock, deaths = RealClock(), Deaths()
    ports = _ports(wishes)
    console().print(f"{badge(live=False)} Starting a database, a paper venue and two instances …")
    async with stage(wishes.data, ports, clock, deaths) as built:
        feed = Feed(built.venue_client, clock)
        courier = Courier(built.anyone, built.keys.webhook, clock, patience_s=_PATIENCE_S)
        sender, narrator = (
            Sender(courier, feed, clock),
            Narrator(built.anyone, clock),
        )
        deaths.narrator = narrator
        _welcome(built)
        background = [feed.run(), narrator.run(), _kill(built, wishes.kill_every_s, clock)]
        if wishes.takeovers is not None:
            background.append(Takeovers(built, narrator, clock, wishes.takeovers).run())
        await _play(
            background,
            sender.run(),
            wishes.run_s,
        )
        killed, deaths.narrator = deaths.count, None
        verdict = await _verdict(built, sender, clock)
        tell(verdict, sender.repeated, killed)
        for line in sender.refused[:5]:
            errors().print(f"[yellow]not taken in[/]: {line}")
    return OK if verdict.is_clean else REFUSED


async def _play(
    background: list[Coroutine[Any, Any, None]],
    sending: Coroutine[Any, Any, None],
    run_s: float | None,
) -> None:
    """Run all until the time is over, Ctrl-C, or a defect in one of them; then stop all."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(each) for each in (*background, sending)]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait(
            (*tasks, stopping), timeout=run_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {stopping}:
            task.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)


async def _kill(built: Stage, every_s: float | None, clock: Clock) -> None:
    """Kill the active one, again and again; without a wish just wait."""
    while True:
        await clock.sleep(every_s or 3600)
        if every_s is not None:
            await asyncio.to_thread(built.kill_active)


async def _verdict(built: Stage, sender: Sender, clock: Clock) -> Verdict:
    """The judgement, once everything has come to its end."""
    prod = built.anyone
    for _ in range(int(_SETTLE_S)):
        # It may just have been killed: the judgement waits for its return.
        with contextlib.suppress(Unreachable, Refused):
            await settled(prod, clock, _SETTLE_S)
            signals, intents = everything(prod, "/api/signals"), everything(prod, "/api/orders")
            ledger = built.venue_client.get("/ledger")["orders"]
            return judge(sender.acknowledged, signals, intents, ledger)
        await clock.sleep(1)
    raise Unreachable("the instance did not come back for the summary")


def _ports(wishes: Wishes) -> Ports:
    """The wished ports, or free ones, which is said."""
    return Ports(
        prod=_port(wishes.port), dev=_port(wishes.dev_port), venue=_port(wishes.venue_port)
    )


def _port(wished: int) -> int:
    port = free_port(wished)
    if wished != port:
        console().print(f"[yellow]Port {wished} is taken; {port} is used instead.[/]")
    return port


def _welcome(built: Stage) -> None:
    """Links, and what to try."""
    console().print(
        f"""
  prod         {built.prod_client.url}/docs   (active by default)
  dev          {built.dev_client.url}/docs   (standby; it takes signals in as well)
  ledger       {built.venue_client.url}/ledger   (the venue's word on what was executed)
  logs         {built.folder}

[bold]Try[/], in another terminal:
  1. kill -9 {built.prod.pid}   and see dev take over within a blink, with nothing lost
  2. export ONEFILL_URL={built.prod_client.url} ONEFILL_WEBHOOK_SECRET={built.keys.webhook} \\
       ONEFILL_OPERATOR_TOKEN={built.keys.operator}
     onefill send buy --ticker SIM001 --contracts 3 --wait
  3. onefill take-control --url {built.dev_client.url}   and see each step of the takeover
  4. onefill instances; onefill history; onefill positions; onefill signals; onefill status
  5. onefill pause, and later onefill resume

Ctrl-C stops all.
""",
        soft_wrap=True,
        markup=True,
    )
