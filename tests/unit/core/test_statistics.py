"""Statistics by hand-made trades, each figure worked out beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.portfolio.statistics import Movement, Trade, equity_curve, statistics

START = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
CAPITAL = Decimal(1000)


def hour(n: int) -> datetime:
    return START + timedelta(hours=n)


def trade(
    profit: int, opened: int, closed: int | None, name: str = "GOLD", risk: int | None = 100
) -> Trade:
    return Trade(
        instrument=name,
        opened_at=hour(opened),
        closed_at=None if closed is None else hour(closed),
        profit=Decimal(profit),
        risk=None if risk is None else Decimal(risk),
    )


TRADES = [
    trade(300, 0, 1),
    trade(-200, 1, 3, "BANK", 50),
    trade(-100, 2, 4),
    trade(150, 6, 7, "BANK", None),
    trade(0, 8, None),
]


@pytest.mark.req("PF-14")
def test_each_figure_is_what_it_is_by_hand() -> None:
    total = statistics(TRADES, (), CAPITAL, hour(10))["ALL"]
    assert (total.trades, total.open_trades, total.wins, total.losses) == (4, 1, 2, 2)
    assert (total.win_rate_percent, total.profit) == (50, 150)
    assert (total.average_win, total.average_loss) == (225, -150)
    assert total.profit_factor == Decimal("1.5")
    assert total.expectancy_r == round(Decimal(3 - 4 - 1) / 3, 4)
    assert total.drawdown_max == 300  # from 1300 to 1000
    assert total.drawdown_max_percent == round(Decimal(300) / 1300 * 100, 4)
    assert total.exposure_percent == 70  # 0-4, 6-7 and 8-10 of ten hours


@pytest.mark.req("PF-14")
def test_instruments_are_told_apart_and_add_up() -> None:
    figures = statistics(TRADES, (), CAPITAL, hour(10))
    assert set(figures) == {"GOLD", "BANK", "ALL"}
    assert figures["GOLD"].profit + figures["BANK"].profit == figures["ALL"].profit
    assert (figures["BANK"].wins, figures["BANK"].losses) == (1, 1)


@pytest.mark.req("PF-14")
def test_nothing_traded_is_all_zero_and_no_ratio() -> None:
    total = statistics([], (), CAPITAL, hour(1))["ALL"]
    assert (total.trades, total.profit, total.exposure_percent) == (0, 0, 0)
    assert (total.profit_factor, total.expectancy_r) == (None, None)


@pytest.mark.req("PF-5", "PF-14")
def test_a_withdrawal_is_no_drawdown_and_a_deposit_no_profit() -> None:
    moves = [Movement(at=hour(2), amount=Decimal(-500)), Movement(at=hour(5), amount=Decimal(900))]
    curve = equity_curve([trade(100, 0, 1), trade(-60, 3, 4)], moves, CAPITAL)
    assert [(p.equity, p.drawdown) for p in curve] == [(1100, 0), (600, 0), (540, 60), (1440, 60)]


@pytest.mark.req("PF-14")
@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(0, 50), st.integers(0, 9))))
def test_the_curve_ends_at_capital_and_profit_whatever_the_order(
    facts: list[tuple[int, int, int]],
) -> None:
    trades = [trade(profit, start, start + long) for profit, start, long in facts]
    curve = equity_curve(trades, (), CAPITAL)
    total = statistics(trades, (), CAPITAL, hour(100))["ALL"]
    assert (curve[-1].equity if curve else CAPITAL) == CAPITAL + total.profit
    assert all(point.drawdown >= 0 for point in curve)
    assert 0 <= total.exposure_percent <= 100
