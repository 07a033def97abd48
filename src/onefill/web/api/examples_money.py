"""Examples of answers about money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from onefill.core.book import Sizing, TimeBasis
from onefill.core.portfolio.statistics import ALL_INSTRUMENTS, EquityPoint, Statistics
from onefill.ports.figures import CapitalMoved, Closing, EquityCurve, StatisticsReport
from onefill.ports.views import PortfolioSettings

_AT = datetime(2026, 1, 5, 9, 15, 0, 120000, UTC)
_FIGURES = Statistics(
    trades=12,
    open_trades=1,
    wins=5,
    losses=7,
    win_rate_percent=Decimal("41.67"),
    profit=Decimal("184250.00"),
    costs=Decimal("5120.50"),
    average_win=Decimal("71200.00"),
    average_loss=Decimal("-24535.71"),
    profit_factor=Decimal("2.07"),
    expectancy_r=Decimal("0.61"),
    drawdown_max=Decimal("98100.00"),
    drawdown_max_percent=Decimal("1.91"),
    exposure_percent=Decimal("37.5"),
)
STATISTICS = StatisticsReport(
    portfolio="main", computed_at=_AT, figures={"GOLD_MINI": _FIGURES, ALL_INSTRUMENTS: _FIGURES}
)
EQUITY = EquityCurve(
    portfolio="main",
    initial_capital=Decimal(5_000_000),
    closed_equity=Decimal("5004000.00"),
    points=(
        EquityPoint(
            at=_AT,
            equity=Decimal("5004000.00"),
            drawdown=Decimal(0),
            drawdown_percent=Decimal(0),
        ),
    ),
)
MOVED = CapitalMoved(
    portfolio="main",
    amount=Decimal("250000.00"),
    closed_equity=Decimal("5254000.00"),
    equity_high=Decimal("5254000.00"),
)
CLOSING = Closing(position_id="p7k2m9x0qz4d8r5w", signal_id=4212)
SETTINGS = PortfolioSettings(
    sizing=Sizing.SIGNAL, time_basis=TimeBasis.SIGNAL, initial_capital=Decimal(5000000)
)
