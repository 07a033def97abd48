"""How well a portfolio trades, from nothing but its fills and its movements. Source: PF-14."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.money import ZERO, percent_of

ALL_INSTRUMENTS = "ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A position from its first fill to its last. closed_at: None while it is held.

    profit: in rupees, from its fills, after costs. costs: what trading it cost. risk: rupees from
    entry to initial stop (one R); None where it had no stop.
    """

    instrument: str
    opened_at: datetime
    closed_at: datetime | None
    profit: Decimal = ZERO
    risk: Decimal | None = None
    costs: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A deposit (positive) or a withdrawal, in rupees."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """Closed equity after something ended or moved. drawdown: rupees below the highest so far."""

    at: datetime
    equity: Decimal
    drawdown: Decimal
    drawdown_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Figures over closed trades; open_trades only counted. Amounts in rupees.

    Averages are rounded to paise, ratios to four places. profit and averages are after costs.
    profit_factor: what was won for each rupee lost; None without a loss. expectancy_r: average
    profit in R, over trades that had a stop. exposure_percent: share of the time from the first
    entry on in which anything was held.
    """

    trades: int
    open_trades: int
    wins: int
    losses: int
    win_rate_percent: Decimal
    profit: Decimal
    costs: Decimal
    average_win: Decimal
    average_loss: Decimal
    profit_factor: Decimal | None
    expectancy_r: Decimal | None
    drawdown_max: Decimal
    drawdown_max_percent: Decimal
    exposure_percent: Decimal


def statistics(
    trades: Sequence[Trade], movements: Iterable[Movement], capital: Decimal, now: datetime
) -> dict[str, Statistics]:
    """Figures of each instrument, by name, and of all together under `ALL`.

    capital: what the portfolio began with. An instrument's drawdown is of its own profit on it.
    """
    names = sorted({trade.instrument for trade in trades})
    own = {
        name: _figures([t for t in trades if t.instrument == name], (), capital, now)
        for name in names
    }
    return {**own, ALL_INSTRUMENTS: _figures(trades, movements, capital, now)}


def equity_curve(
    trades: Iterable[Trade], movements: Iterable[Movement], capital: Decimal
) -> list[EquityPoint]:
    """Closed equity after each end of a trade and each movement, oldest first.

    A deposit is no profit and a withdrawal no loss: the high-water mark moves with both.
    """
    ends = [(t.closed_at, t.profit, ZERO) for t in trades if t.closed_at is not None]
    events = [*ends, *((m.at, ZERO, m.amount) for m in movements)]
    points, equity, high = [], capital, capital
    for at, profit, moved in sorted(events, key=lambda event: event[0]):
        equity += profit + moved
        high = max(high + moved, equity)
        points.append(
            EquityPoint(
                at=at,
                equity=equity,
                drawdown=high - equity,
                drawdown_percent=_ratio(percent_of(high - equity, high)),
            )
        )
    return points


def _figures(
    trades: Sequence[Trade], movements: Iterable[Movement], capital: Decimal, now: datetime
) -> Statistics:
    closed = [trade for trade in trades if trade.closed_at is not None]
    won = [trade.profit for trade in closed if trade.profit > 0]
    lost = [trade.profit for trade in closed if trade.profit < 0]
    multiples = [trade.profit / trade.risk for trade in closed if trade.risk and trade.risk > 0]
    curve = equity_curve(closed, movements, capital)
    return Statistics(
        trades=len(closed),
        open_trades=len(trades) - len(closed),
        wins=len(won),
        losses=len(lost),
        win_rate_percent=_ratio(percent_of(Decimal(len(won)), Decimal(len(closed)))),
        profit=sum((trade.profit for trade in closed), ZERO),
        costs=sum((trade.costs for trade in closed), ZERO),
        average_win=round(_average(won), 2),
        average_loss=round(_average(lost), 2),
        profit_factor=_ratio(sum(won, ZERO) / -sum(lost, ZERO)) if lost else None,
        expectancy_r=_ratio(_average(multiples)) if multiples else None,
        drawdown_max=max((point.drawdown for point in curve), default=ZERO),
        drawdown_max_percent=max((point.drawdown_percent for point in curve), default=ZERO),
        exposure_percent=_ratio(_exposure_percent(trades, now)),
    )


def _average(values: Sequence[Decimal]) -> Decimal:
    return sum(values, ZERO) / len(values) if values else ZERO


def _ratio(value: Decimal) -> Decimal:
    return round(value, 4)


def _exposure_percent(trades: Sequence[Trade], now: datetime) -> Decimal:
    """Time with anything held; trades that overlap count once."""
    spans = sorted((trade.opened_at, trade.closed_at or now) for trade in trades)
    if not spans:
        return ZERO
    held, reached = timedelta(0), spans[0][0]
    for start, end in spans:
        held += max(timedelta(0), end - max(start, reached))
        reached = max(reached, end)
    return percent_of(_seconds(held), _seconds(max(now, reached) - spans[0][0]))


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000
