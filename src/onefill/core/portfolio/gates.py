"""Gates: each says whether it lets an entry through, with the numbers that it looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.instrument import Caps, Instrument
from onefill.core.money import ZERO, figures, floor
from onefill.core.portfolio.equity import Exposure
from onefill.core.portfolio.sizing import Setup
from onefill.core.position import Position, PositionStatus
from onefill.core.refusal import Refusal

_SPACING_ATR = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate's answer. refusal: what it says when it does not let through."""

    refusal: Refusal
    passed: bool
    numbers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The most lots that fit under the caps, and the cap that took the rest (None: all fit)."""

    lots: int
    cap: Refusal | None
    numbers: Mapping[str, str]


def first_closed(gates: Iterable[Gate]) -> Gate | None:
    """The first gate that does not let through, or None."""
    return next((gate for gate in gates if not gate.passed), None)


def numbers_of(gates: Iterable[Gate]) -> dict[str, str]:
    """What all of these gates looked at."""
    return {name: value for gate in gates for name, value in gate.numbers.items()}


def pyramid_gates(
    setup: Setup, instrument: Instrument, here: Sequence[Position]
) -> tuple[Gate, ...]:
    """The gates of a pyramid that do not depend on its lots, in order of precedence.

    here: the instrument's positions that are not closed. Without an open base only that gate is
    asked: the others measure from it. Source: PF-3.
    """
    base = open_base(here)
    first = Gate(
        refusal=Refusal.BASE_NOT_OPEN,
        passed=base is not None,
        numbers=figures(base_open=str(base is not None).lower()),
    )
    if base is None or base.effective_entry is None or base.initial_stop is None:
        return (first,)
    return (
        first,
        _count(instrument, here),
        _one_r(setup, base.effective_entry, base.initial_stop),
        _spacing(setup, here),
        _profit(setup, here),
    )


def open_base(here: Iterable[Position]) -> Position | None:
    """The base position that pyramids may stand on, or None."""
    bases = (p for p in here if p.is_base and p.status is PositionStatus.OPEN)
    measured = (p for p in bases if None not in (p.entry_price, p.initial_stop))
    return next(measured, None)


def pyramid_count(here: Iterable[Position]) -> int:
    """Pyramids that are not closed."""
    return sum(position.is_live and not position.is_base for position in here)


def fit_to_caps(wanted: int, per_lot: Exposure, carried: Exposure, cap: Exposure) -> Fit:
    """The largest number of lots, at most `wanted`, with which no cap is passed. Source: PF-4."""
    rooms = (
        (Refusal.RISK_CAP, _room(cap.risk - carried.risk, per_lot.risk)),
        (Refusal.VOLATILITY_CAP, _room(cap.volatility - carried.volatility, per_lot.volatility)),
        (Refusal.MARGIN_CAP, _room(cap.margin - carried.margin, per_lot.margin)),
    )
    tightest, room = min(
        ((refusal, room) for refusal, room in rooms if room is not None),
        key=lambda entry: entry[1],
        default=(Refusal.MARGIN_CAP, wanted),
    )
    numbers = figures(
        risk_carried=carried.risk,
        risk_cap=cap.risk,
        volatility_carried=carried.volatility,
        volatility_cap=cap.volatility,
        margin_used=carried.margin,
        margin_cap=cap.margin,
    )
    return Fit(
        lots=max(0, min(wanted, room)), cap=tightest if room < wanted else None, numbers=numbers
    )


def pyramid_caps(projected: Exposure, equity: Decimal, caps: Caps) -> tuple[Gate, ...]:
    """The gates on the portfolio as it would be with the pyramid's lots. Source: PF-3."""
    risk_max = equity * caps.pyramid_risk_percent / 100
    volatility_max = equity * caps.pyramid_volatility_percent / 100
    return (
        Gate(
            refusal=Refusal.PYRAMID_RISK_CAP,
            passed=projected.risk <= risk_max,
            numbers=figures(projected_risk=projected.risk, projected_risk_max=risk_max),
        ),
        Gate(
            refusal=Refusal.PYRAMID_VOLATILITY_CAP,
            passed=projected.volatility <= volatility_max,
            numbers=figures(
                projected_volatility=projected.volatility,
                projected_volatility_max=volatility_max,
            ),
        ),
    )


def _room(free: Decimal, per_lot: Decimal) -> int | None:
    """Lots that fit in what is free; None where a lot takes nothing."""
    return max(0, floor(free / per_lot)) if per_lot > 0 else None


def _count(instrument: Instrument, here: Sequence[Position]) -> Gate:
    count = pyramid_count(here)
    return Gate(
        refusal=Refusal.PYRAMIDS_MAX,
        passed=count < instrument.pyramids_max,
        numbers=figures(pyramids=count, pyramids_max=instrument.pyramids_max),
    )


def _one_r(setup: Setup, entry: Decimal, initial_stop: Decimal) -> Gate:
    gain, one_r = setup.price - entry, entry - initial_stop
    return Gate(
        refusal=Refusal.ONE_R,
        passed=gain > one_r,
        numbers=figures(base_gain=gain, one_r=one_r),
    )


def _spacing(setup: Setup, here: Sequence[Position]) -> Gate:
    newest = max((p for p in here if p.is_live), key=lambda p: (p.opened_at, p.slot))
    entry = newest.effective_entry
    last = entry if entry is not None else newest.signal_price
    distance = (setup.price - (last or ZERO)) / setup.atr if setup.atr > 0 else ZERO
    return Gate(
        refusal=Refusal.SPACING,
        passed=distance >= _SPACING_ATR,
        numbers=figures(last_entry=last or ZERO, spacing_atr=distance),
    )


def _profit(setup: Setup, here: Sequence[Position]) -> Gate:
    live = [position for position in here if position.is_live]
    profit = sum((p.profit_at(setup.price) + p.rollover_pnl for p in live), ZERO)
    return Gate(
        refusal=Refusal.NOT_IN_PROFIT, passed=profit > 0, numbers=figures(instrument_profit=profit)
    )
