"""`onefill replay --what-if`: a recording under other settings, decided in memory (SIG-20)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from onefill.cli import options
from onefill.cli.client import dumps
from onefill.cli.errors import Usage
from onefill.cli.fill_in import Distance
from onefill.cli.replaying.comparing import Comparison, Side, tell
from onefill.cli.replaying.progress import Progress
from onefill.cli.replaying.run import Plan, fill_in_of, read, zone_of
from onefill.cli.replaying.step import Step
from onefill.config.rules import rules_of
from onefill.config.settings import Settings
from onefill.core.book import Account, Sizing
from onefill.core.intake.parse import Invalid, parse
from onefill.core.intake.signal_time import Zones
from onefill.core.rehearsal import Rehearsal, Rehearsed
from onefill.core.signal import Engine, LoggedSignal, fingerprint

BASELINE, VARIANT = "as set", "what if"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is asked besides the recording. wanted: settings to try, as KEY=VALUE."""

    wanted: tuple[str, ...]
    slippage: str
    chart: Path | None


def compare(plan: Plan, asked: WhatIf) -> None:
    """Rehearse the recording by the settings, and with those wanted over them; tell both.

    Raises Usage, InvalidConfiguration.
    """
    fill_in = fill_in_of(plan)
    recording = read(plan.file, fill_in, zone_of(plan.zone))
    slips = Distance.parse(asked.slippage)
    sizing = Sizing.SIGNAL if fill_in.lots_from_file else Sizing.OWN
    over = dict(_wanted(asked.wanted))
    runs = {BASELINE: options.loaded().settings}
    if over:
        runs[VARIANT] = options.loaded(None, None, **over).settings
    sides: list[Side] = []
    with Progress(len(recording.steps) * len(runs), quiet=plan.as_json) as progress:
        for name, settings in runs.items():
            account = Account(
                portfolio=plan.portfolio, initial_capital=settings.initial_capital, sizing=sizing
            )
            rehearsal = Rehearsal(rules_of(settings), account, slips.of)
            sides.append(_rehearsed(name, rehearsal, recording.steps, settings, progress))
    if asked.chart is not None:
        from onefill.cli.charting import draw_beside

        draw_beside({side.name: side.curve for side in sides}, asked.chart)
    comparison = Comparison(
        sides=tuple(sides), wanted=asked.wanted, recording=recording, fill_in=fill_in, slips=slips
    )
    tell(comparison, as_json=plan.as_json, chart=asked.chart)


def _wanted(texts: Sequence[str]) -> Iterator[tuple[str, object]]:
    """KEY=VALUE, with lists and tables as JSON. Raises Usage."""
    for text in texts:
        key, separator, value = text.partition("=")
        if not (separator and key.strip()):
            raise Usage(f"--set {text!r} is not KEY=VALUE", remedy="Write --set peel_off=true.")
        yield key.strip(), _value(value.strip())


def _value(text: str) -> object:
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def _rehearsed(
    name: str,
    rehearsal: Rehearsal,
    steps: Sequence[Step],
    settings: Settings,
    progress: Progress,
) -> Side:
    """One side: each signal once, as the log would have it."""
    decided: list[Rehearsed] = []
    invalid: list[str] = []
    zones = Zones.named({each.name: each.zone for each in rules_of(settings).instruments.values()})
    known: set[bytes] = set()
    for number, step in enumerate(steps, start=1):
        signal = _logged(step.body, step, number, zones)
        if isinstance(signal, str):
            invalid.append(signal)
        elif signal.fingerprint not in known:
            known.add(signal.fingerprint)
            decided.append(rehearsal.take(signal))
        progress.step(step)
    if not decided:
        told = "; ".join(dict.fromkeys(invalid)) or "it holds none"
        raise Usage(f"no signal of the recording can be rehearsed: {told}")
    ended = [rehearsal.as_it_ended(each) for each in decided]
    return Side(name=name, rehearsal=rehearsal, decided=ended, invalid=invalid)


def _logged(
    body: Mapping[str, object], step: Step, number: int, zones: Zones
) -> LoggedSignal | str:
    """The signal as the log would hold it, or why it would not."""
    valid = parse(dumps(body), now=step.at + timedelta(seconds=1), zones=zones)
    if isinstance(valid, Invalid):
        return "; ".join(f"{problem.field} {problem.problem}" for problem in valid.problems)
    if valid.signal.engine is not Engine.PORTFOLIO:
        return "only signals of the portfolio engine are rehearsed"
    return LoggedSignal(
        id=number,
        fingerprint=fingerprint(valid.signal),
        signal=valid.signal,
        received_at=valid.signal.time,
    )
