"""Read models of money: statistics, curves, and what an operator's action came to."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from onefill.core.portfolio.statistics import EquityPoint, Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsReport:
    """Figures of each instrument by name, and of all together under `ALL` (PF-14)."""

    portfolio: str
    computed_at: datetime
    figures: Mapping[str, Statistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityCurve:
    """Closed equity after each end of a trade and each movement, oldest first.

    closed_equity: now, with what parts of open positions have realised already.
    """

    portfolio: str
    initial_capital: Decimal
    closed_equity: Decimal
    points: tuple[EquityPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalMoved:
    """A portfolio's money after a movement. amount: deposited, or withdrawn where negative."""

    portfolio: str
    amount: Decimal
    closed_equity: Decimal
    equity_high: Decimal


class CapitalRefusal(enum.Enum):
    """Why nothing was moved, with the remedy."""

    NO_PORTFOLIO = "It begins with its first signal, or with PUT /api/portfolios/{portfolio}."
    MORE_THAN_THERE_IS = "Withdraw less: closed equity would fall below zero."


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A position that an operator wants closed. signal_id: the exit signal that does it."""

    position_id: str
    signal_id: int


class ClosingRefusal(enum.Enum):
    """Why nothing is closed, with the remedy."""

    NO_POSITION = "See GET /api/positions for those that are held."
    CLOSED = "Nothing to do: it is closed."
