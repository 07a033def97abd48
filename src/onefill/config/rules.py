"""From settings to what the pure decisions know: instruments, limits, holidays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from onefill.config.holidays import Holidays
from onefill.config.instruments import InstrumentSettings
from onefill.config.settings import BROKERS, Settings
from onefill.core.defaults import INSTRUMENTS
from onefill.core.instrument import Caps, ChaseLimits, Instrument, Rules, Switches, Tariff
from onefill.core.signal import SignalKind


def rules_of(settings: Settings) -> Rules:
    """Everything configurable that decisions look at. Holidays are read when first asked for."""
    return Rules(
        deployment=settings.deployment,
        instruments=instruments_of(settings),
        caps=Caps(**dict(settings.caps)),
        switches=Switches(
            market_hours=settings.market_hours,
            needs_quote=settings.quotes.missing == "reject",
            **dict(settings.switches),
        ),
        equity_base=settings.equity_base,
        peel_off=settings.peel_off,
        max_age_s=settings.max_age_s,
        max_age_by_type_s={
            SignalKind(name.upper()): age_s
            for name, age_s in settings.max_age_by_type_s
            if age_s > 0
        },
        duplicate_window_s=settings.duplicate_window_s,
        direct_broker=settings.direct_broker,
        direct_account=settings.broker(settings.direct_broker).account,
        direct_costs=Tariff(**dict(settings.direct_costs)),
        holidays=Holidays(settings.holidays),
        accounts={name: settings.broker(name).account for name in BROKERS},
    )


def instruments_of(settings: Settings) -> Mapping[str, Instrument]:
    """The instruments that onefill knows, changed and added to as the settings say."""
    changed = {
        name: replace(INSTRUMENTS[name], **_given(block))
        if name in INSTRUMENTS
        else Instrument(name=name, **_given(block))
        for name, block in settings.instruments.items()
    }
    return {**INSTRUMENTS, **changed}


def incomplete(settings: Settings) -> Mapping[str, list[str]]:
    """The keys that a new instrument lacks, by instrument; none for those that are known."""
    needed = [
        field.name
        for field in fields(Instrument)
        if field.default is MISSING and field.name != "name"
    ]
    return {
        name: [field for field in needed if getattr(block, field) is None]
        for name, block in settings.instruments.items()
        if name not in INSTRUMENTS
    }


def _given(block: InstrumentSettings) -> dict[str, Any]:
    """What a block says, in the shape that Instrument takes."""
    given: dict[str, Any] = {name: value for name, value in block if value is not None}
    if block.units_per_lot is not None:
        given["units_per_lot"] = tuple((entry.since, entry.units) for entry in block.units_per_lot)
    given["chase"] = ChaseLimits(**dict(block.chase)) if block.chase.step > 0 else None
    given["costs"] = Tariff(**dict(block.costs))
    return given
