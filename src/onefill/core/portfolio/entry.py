"""Entries of the portfolio engine: whether, how many lots, which contract, which orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from onefill.core.admission import refusal_of_entry, valid_until
from onefill.core.book import WAIT, Decision, Situation, Sizing, TimeBasis, refuse
from onefill.core.errors import invariant
from onefill.core.ids import position_id
from onefill.core.instrument import Instrument, Rules
from onefill.core.money import ZERO, figures
from onefill.core.portfolio.contracts import Contract, choose_contract
from onefill.core.portfolio.equity import (
    Exposure,
    cap_of,
    sizing_equity,
    total_exposure,
)
from onefill.core.portfolio.gates import (
    first_closed,
    fit_to_caps,
    numbers_of,
    open_base,
    pyramid_caps,
    pyramid_count,
    pyramid_gates,
)
from onefill.core.portfolio.legs import new_legs, opening_intents
from onefill.core.portfolio.safety import margin_gate, margin_warnings, price_gate
from onefill.core.portfolio.sizing import LotTerms, Setup, Size, base_size, pyramid_size
from onefill.core.position import Position, PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import BASE_SLOT, LoggedSignal, Signal, SignalKind, SignalStatus

_SIGNAL_LIMITER = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One entry under consideration: what was asked, of which contract, on which ground."""

    logged: LoggedSignal
    situation: Situation
    rules: Rules
    instrument: Instrument
    setup: Setup
    contract: Contract

    @property
    def signal(self) -> Signal:
        return self.logged.signal

    @property
    def is_pyramid(self) -> bool:
        return self.signal.kind is SignalKind.PYRAMID

    @property
    def terms(self) -> LotTerms:
        return LotTerms(
            point_value=self.contract.point_value,
            margin_per_lot=self.instrument.margin_per_lot,
            risk_percent=self.instrument.risk_percent[0],
            volatility_percent=self.instrument.volatility_percent[0],
        )

    @property
    def per_lot(self) -> Exposure:
        return Exposure(
            risk=self.setup.risk * self.contract.point_value,
            volatility=self.setup.atr * self.contract.point_value,
            margin=self.instrument.margin_per_lot,
        )


def enter(logged: LoggedSignal, situation: Situation, rules: Rules) -> Decision:
    """Decide a BASE_ENTRY or a PYRAMID.

    An order under way or in doubt in the lane makes the entry wait (it may expire meanwhile);
    a lane that only a person can free blocks it. Source: PF-1 to PF-4, PF-8, ORD-8.
    """
    instrument = rules.instruments.get(logged.signal.instrument)
    if instrument is None:
        return refuse(Refusal.UNKNOWN_INSTRUMENT)
    if (logged.signal.position == BASE_SLOT) is not (logged.signal.kind is SignalKind.BASE_ENTRY):
        return refuse(Refusal.WRONG_SLOT)
    if (refusal := refusal_of_entry(logged.signal, situation, rules)) is not None:
        return refuse(refusal, _lateness(logged.signal, situation, rules))
    if situation.is_settling:
        return WAIT
    if any(position.slot == logged.signal.position for position in situation.here):
        return refuse(Refusal.SLOT_TAKEN)
    if not (agreement := price_gate(logged.signal, situation, rules.switches)).passed:
        return refuse(agreement.refusal, agreement.numbers)
    return _size_and_open(_entry(logged, situation, rules, instrument))


def _lateness(signal: Signal, situation: Situation, rules: Rules) -> dict[str, str]:
    age_s = Decimal(str((situation.now - signal.time).total_seconds()))
    numbers = figures(age_s=age_s, max_age_s=rules.max_age_of(signal.kind))
    return numbers | ({"lane_blocked_by": situation.blocked} if situation.blocked else {})


def _entry(
    logged: LoggedSignal, situation: Situation, rules: Rules, instrument: Instrument
) -> _Entry:
    signal = logged.signal
    invariant(signal.price is not None, "entries have a price", signal=logged.id)
    invariant(signal.stop is not None, "entries have a stop", signal=logged.id)
    assert signal.price is not None
    assert signal.stop is not None
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    return _Entry(
        logged=logged,
        situation=situation.priced(signal.price),
        rules=rules,
        instrument=instrument,
        setup=Setup(
            price=signal.price, stop=signal.stop, atr=signal.atr or ZERO, er=signal.er or ZERO
        ),
        contract=choose_contract(
            instrument,
            _today(signal, situation, instrument),
            signal.price,
            holidays,
            situation.series,
        ),
    )


def _size_and_open(entry: _Entry) -> Decision:
    if entry.setup.risk <= 0:
        return refuse(Refusal.INVALID_RISK, figures(price=entry.setup.price, stop=entry.setup.stop))
    if entry.situation.account.sizing is Sizing.SIGNAL:
        return _open_as_asked(entry)
    gates = (
        pyramid_gates(entry.setup, entry.instrument, entry.situation.here)
        if entry.is_pyramid
        else ()
    )
    if (closed := first_closed(gates)) is not None:
        return refuse(closed.refusal, closed.numbers)
    return _open_sized(entry, numbers_of(gates))


def _open_as_asked(entry: _Entry) -> Decision:
    """The signal's own lots, without gates and caps: replays of somebody else's decisions."""
    if entry.is_pyramid and open_base(entry.situation.here) is None:
        return refuse(Refusal.BASE_NOT_OPEN)
    if not entry.signal.lots:
        return refuse(Refusal.NO_LOTS)
    return _open(entry, entry.signal.lots, _SIGNAL_LIMITER, {"limiter": _SIGNAL_LIMITER})


def _open_sized(entry: _Entry, numbers: Mapping[str, str]) -> Decision:
    situation, rules = entry.situation, entry.rules
    equity = sizing_equity(situation.account, situation.positions, rules.equity_base)
    carried = total_exposure(situation.positions)
    cap = cap_of(equity, rules.caps)
    use = margin_gate(carried, equity, rules.switches)
    if not use.passed:
        return refuse(use.refusal, use.numbers)
    size = _size(entry, equity, cap.margin - carried.margin)
    numbers = {**numbers, **use.numbers, **size.numbers, **figures(equity=equity)}
    if size.lots == 0:
        refusal = Refusal.of(size.limiter)
        invariant(refusal is not None, "every limiter is a refusal", limiter=size.limiter)
        assert refusal is not None
        return refuse(refusal, numbers)
    fit = fit_to_caps(size.lots, entry.per_lot, carried, cap)
    numbers |= {**fit.numbers, **figures(lots_sized=size.lots, lots=fit.lots)}
    if fit.lots == 0 and fit.cap is not None:
        return refuse(fit.cap, numbers)
    if entry.is_pyramid:
        gates = pyramid_caps(carried + entry.per_lot * fit.lots, equity, rules.caps)
        numbers |= numbers_of(gates)
        if (closed := first_closed(gates)) is not None:
            return refuse(closed.refusal, numbers)
    limiter = size.limiter if fit.cap is None else fit.cap.code
    return _open(entry, fit.lots, limiter, numbers | {"limiter": limiter})


def _size(entry: _Entry, equity: Decimal, margin: Decimal) -> Size:
    if not entry.is_pyramid:
        return base_size(entry.setup, entry.terms, equity=equity, margin=margin)
    base = open_base(entry.situation.here)
    invariant(base is not None, "a pyramid that passed its gates has a base")
    assert base is not None
    return pyramid_size(
        entry.setup,
        entry.terms,
        base_lots=base.lots,
        pyramids=pyramid_count(entry.situation.here),
        excess_profit=base.profit_at(entry.setup.price) + base.rollover_pnl - base.initial_risk,
        margin=margin,
    )


def _open(entry: _Entry, lots: int, limiter: str, numbers: Mapping[str, str]) -> Decision:
    position = _new_position(entry, lots, limiter)
    intents = opening_intents(
        position,
        entry.logged.source,
        entry.rules,
        signal_id=entry.logged.id,
        valid_until=valid_until(entry.signal, entry.situation.account, entry.rules),
    )
    margin = total_exposure((*entry.situation.positions, position)).margin
    return Decision(
        status=SignalStatus.DECIDED,
        numbers={**numbers, **figures(lots=lots)},
        positions=(position,),
        intents=intents,
        alarms=margin_warnings(position.lane, margin, entry.situation.account, entry.rules),
    )


def _new_position(entry: _Entry, lots: int, limiter: str) -> Position:
    signal, contract, setup = entry.signal, entry.contract, entry.setup
    slot = signal.position
    invariant(slot is not None, "entries name a slot", signal=entry.logged.id)
    assert slot is not None
    return Position(
        id=position_id(entry.logged.source, slot),
        portfolio=signal.portfolio,
        instrument=signal.instrument,
        slot=slot,
        status=PositionStatus.PENDING,
        legs=new_legs(entry.instrument, contract, lots, entry.rules),
        opened_at=entry.situation.now,
        lots=lots,
        units_per_lot=contract.units_per_lot,
        point_value=contract.point_value,
        margin_per_lot=entry.instrument.margin_per_lot,
        signal_price=setup.price,
        stop=setup.stop,
        initial_stop=setup.stop,
        highest_close=setup.price,
        atr=setup.atr,
        last_price=setup.price,
        limiter=limiter,
        entry_signal_id=entry.logged.id,
        strike=contract.strike,
        expiry=contract.expiry,
        guard_at=entry.situation.now if entry.instrument.protective_stop else None,
    )


def _today(signal: Signal, situation: Situation, instrument: Instrument) -> date:
    own_time = situation.account.time_basis is TimeBasis.SIGNAL
    moment: datetime = signal.time if own_time else situation.now
    return moment.astimezone(ZoneInfo(instrument.zone)).date()
