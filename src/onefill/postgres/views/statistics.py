"""Trades as their fills tell them, and what follows: statistics, and the curve of equity."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onefill.core.book import TimeBasis
from onefill.core.money import ZERO
from onefill.core.portfolio.statistics import Movement, Trade, equity_curve, statistics
from onefill.ports.figures import EquityCurve, StatisticsReport

_CAPITAL = """
SELECT initial_capital, closed_equity, time_basis, clock_timestamp() AS now
FROM portfolio_state WHERE portfolio = $1
"""
# Only fills and what a position was opened with: nothing that is derived is read back.
_TRADES = """
SELECT p.instrument, p.status = 'closed' AS is_closed,
       (p.entry_price - p.carried_points - p.initial_stop) * p.lots * p.point_value AS risk,
       min(f.booked_at) AS first_at, max(f.booked_at) AS last_at,
       sum(CASE f.side WHEN 'SELL' THEN f.value ELSE -f.value END * l.multiplier) AS gross,
       sum(f.value * l.multiplier * 0.01
           * CASE f.side WHEN 'SELL' THEN l.sell_cost_percent ELSE l.buy_cost_percent END
           + CASE WHEN f.cumulative_quantity = f.quantity THEN l.cost_per_order ELSE 0 END) AS costs
FROM portfolio_positions p
JOIN fills f ON f.position_id = p.position_id
JOIN order_intents i ON i.client_order_id = f.client_order_id
JOIN position_legs l ON l.position_id = p.position_id AND l.leg = i.leg
WHERE p.portfolio = $1
GROUP BY p.position_id ORDER BY p.position_id
"""
# By instrument, since that is what signals are listed by.
_TIMES = """
SELECT decided_at, signal_time FROM signal_log
WHERE portfolio = $1 AND decided_at IS NOT NULL
  AND instrument IN (SELECT instrument FROM portfolio_positions WHERE portfolio = $1)
ORDER BY decided_at
"""
_MOVEMENTS = "SELECT at, amount FROM capital_ledger WHERE portfolio = $1 ORDER BY at, id"


async def statistics_of(connection: Any, portfolio: str) -> StatisticsReport | None:
    """The figures of a portfolio now; None when there is no such portfolio."""
    states = await connection.fetch(_CAPITAL, portfolio)
    if not states:
        return None
    state = states[0]
    times = await _times(connection, portfolio, state)
    trades, movements = await _read(connection, portfolio, times)
    now = times.of(state["now"])
    figures = statistics(trades, movements, state["initial_capital"], now)
    return StatisticsReport(portfolio=portfolio, computed_at=state["now"], figures=figures)


async def equity_of(connection: Any, portfolio: str) -> EquityCurve | None:
    """The portfolio's closed equity over time; None when there is no such portfolio."""
    states = await connection.fetch(_CAPITAL, portfolio)
    if not states:
        return None
    state = states[0]
    times = await _times(connection, portfolio, state)
    trades, movements = await _read(connection, portfolio, times)
    capital = state["initial_capital"]
    return EquityCurve(
        portfolio=portfolio,
        initial_capital=capital,
        closed_equity=state["closed_equity"],
        points=tuple(equity_curve(trades, movements, capital)),
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """When things happened, by the clock; in a replay by the signals' own times, which it lives in.

    decided, signals: moments of decisions, in order, and the signals' times beside them.
    """

    decided: Sequence[datetime] = ()
    signals: Sequence[datetime] = ()

    def of(self, moment: datetime) -> datetime:
        """The time of the latest signal that was decided by then."""
        place = bisect_right(self.decided, moment)
        return self.signals[place - 1] if place else moment


async def _times(connection: Any, portfolio: str, state: Any) -> _Times:
    if state["time_basis"] != TimeBasis.SIGNAL.value:
        return _Times()
    rows = await connection.fetch(_TIMES, portfolio)
    return _Times([row["decided_at"] for row in rows], [row["signal_time"] for row in rows])


async def _read(
    connection: Any, portfolio: str, times: _Times
) -> tuple[list[Trade], list[Movement]]:
    trades = [_trade(row, times) for row in await connection.fetch(_TRADES, portfolio)]
    movements = [Movement(**row) for row in await connection.fetch(_MOVEMENTS, portfolio)]
    return trades, movements


def _trade(row: Any, times: _Times) -> Trade:
    closed, costs = row["is_closed"], row["costs"]
    return Trade(
        instrument=row["instrument"],
        opened_at=times.of(row["first_at"]),
        closed_at=times.of(row["last_at"]) if closed else None,
        profit=row["gross"] - costs if closed else ZERO,
        risk=row["risk"],
        costs=costs if closed else ZERO,
    )
