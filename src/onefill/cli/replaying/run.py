"""One replay from its file to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from onefill.cli import options
from onefill.cli.client import Client, good
from onefill.cli.delivery import Courier, Delivered
from onefill.cli.errors import Refused, Usage
from onefill.cli.fill_in import Distance, FillIn
from onefill.cli.replaying.export import read_export
from onefill.cli.replaying.lines import read_lines
from onefill.cli.replaying.progress import Progress
from onefill.cli.replaying.report import Recording, Report, tell
from onefill.cli.replaying.step import Step, in_order
from onefill.cli.replaying.tally import Tally
from onefill.cli.replaying.venue import Venue
from onefill.config.rules import instruments_of
from onefill.config.settings import BROKERS, Settings
from onefill.ports.clock import Clock, RealClock

_INVALID = frozenset({400, 413, 422})
"""Answers that concern this one signal: the replay goes on with the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line asks for."""

    file: Path
    portfolio: str
    instrument: str
    stop: str
    atr: str
    er: str
    lots: str
    zone: str
    speed: float
    wait: str
    venue_url: str | None
    patience_s: float
    url: str
    as_json: bool

    @property
    def waits(self) -> bool:
        """Whether each signal ends before the next is sent."""
        return self.wait == "executed"


async def run(plan: Plan) -> None:
    """Replay, and tell what became of it. Raises Usage, Refused, Unreachable."""
    settings = options.loaded().settings
    _refuse_live(settings, plan.portfolio)
    fill_in = fill_in_of(plan)
    recording = read(plan.file, fill_in, zone_of(plan.zone))
    client = Client(plan.url, token=options.token_of(settings))
    with Progress(len(recording.steps), quiet=plan.as_json) as progress:
        replay = Replay(plan, settings, client, RealClock(), progress)
        await replay.configure()
        tally = await replay.all(recording.steps)
    positions = client.get("/api/positions", portfolio=plan.portfolio, limit=500)["items"]
    money = client.get("/api/portfolio", portfolio=plan.portfolio)
    tell(Report(recording, fill_in, tally, positions, money), as_json=plan.as_json)


def fill_in_of(plan: Plan) -> FillIn:
    """What the options fill in. Raises Usage."""
    if plan.lots not in ("own", "file"):
        raise Usage(f"--lots is own or file, not {plan.lots!r}")
    if plan.wait not in ("executed", "none"):
        raise Usage(f"--wait is executed or none, not {plan.wait!r}")
    return FillIn(
        portfolio=plan.portfolio,
        instrument=plan.instrument,
        stop=Distance.parse(plan.stop),
        atr=Distance.parse(plan.atr),
        er=Decimal(plan.er),
        lots_from_file=plan.lots == "file",
    )


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name. Raises Usage."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise Usage(f"{name!r} is no time zone; write one such as Asia/Kolkata") from None


def read(file: Path, fill_in: FillIn, zone: ZoneInfo) -> Recording:
    """The recording in the order of its replay. Raises Usage."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Usage(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Usage(f"{file} is not UTF-8") from None
    if text.lstrip().startswith("{"):
        lines = read_lines(text, fill_in, zone)
        return Recording(in_order(lines.steps), sorted(lines.filled_in))
    export = read_export(text, fill_in, zone)
    return Recording(
        in_order(export.steps),
        sorted(export.filled_in),
        trades=export.trades,
        orders=export.orders,
        still_open=tuple(export.still_open),
        skipped=tuple(export.skipped),
    )


class Replay:
    """Sends one step after the other, through restarts of the instance and of the venue."""

    def __init__(
        self, plan: Plan, settings: Settings, client: Client, clock: Clock, progress: Progress
    ) -> None:
        self._plan = plan
        self._client = client
        self._clock = clock
        self._progress = progress
        secret = next(iter(settings.secrets.values()), "")
        self._courier = Courier(
            client, secret, clock, patience_s=plan.patience_s, told=progress.waits
        )
        instruments = instruments_of(settings)
        symbols = {name: each.symbol_root for name, each in instruments.items()}
        venue_url = plan.venue_url or settings.venue_url
        self._venue = Venue(Client(venue_url), self._courier, symbols)

    async def configure(self) -> None:
        """Set the portfolio up for a replay; again is harmless. Raises Refused, Unreachable."""
        sizing = "signal" if self._plan.lots == "file" else "own"
        wanted = {"sizing": sizing, "time_basis": "signal"}
        path = f"/api/portfolios/{self._plan.portfolio}"
        good(await self._courier.insist(lambda: self._client.ask("PUT", path, body=wanted)))

    async def all(self, steps: Sequence[Step]) -> Tally:
        """Replay all steps; the venue gets its own time back in any case."""
        tally = Tally()
        has_venue = self._venue.answers()
        if self._plan.venue_url and not has_venue:
            raise Usage(f"no paper venue answers at {self._plan.venue_url}")
        try:
            pending = await self._send_all(steps, tally, has_venue)
            for step, sent in pending:
                tally.add(step, await self._courier.end_of(sent))
        finally:
            if has_venue:
                await self._venue.let_go()
        return tally

    async def _send_all(
        self, steps: Sequence[Step], tally: Tally, has_venue: bool
    ) -> list[tuple[Step, Delivered]]:
        """Send all; what has not ended yet, where nobody waits for it."""
        pending: list[tuple[Step, Delivered]] = []
        for step in steps:
            due_ms = self._clock.boottime_ms() + self._pause_ms()
            if has_venue:
                await self._venue.follow(step)
            try:
                sent = await self._courier.send(step.body, wait=self._plan.waits)
            except Refused as error:
                if error.status not in _INVALID:
                    raise
                tally.refuse(step, str(error))
            else:
                if self._plan.waits:
                    tally.add(step, await self._courier.end_of(sent))
                else:
                    pending.append((step, sent))
            self._progress.step(step)
            await self._until(due_ms)
        return pending

    def _pause_ms(self) -> float:
        return 1000 / self._plan.speed if self._plan.speed > 0 else 0

    async def _until(self, due_ms: float) -> None:
        left_ms = due_ms - self._clock.boottime_ms()
        if left_ms > 0:
            await self._clock.sleep(left_ms / 1000)


def _refuse_live(settings: Settings, portfolio: str) -> None:
    if any(settings.is_live(broker, portfolio) for broker in BROKERS):
        raise Refused(
            f"portfolio {portfolio} trades real money",
            remedy="Replay into a portfolio that is not live: --portfolio replay.",
        )
