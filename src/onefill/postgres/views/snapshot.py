"""The read side over PostgreSQL: each question is one snapshot."""

from __future__ import annotations

from typing import Any

from onefill.ports.figures import EquityCurve, StatisticsReport
from onefill.ports.lease import LEADER
from onefill.ports.rows import (
    AuditRow,
    InstanceRow,
    LeaderRow,
    MissedRow,
    OrderRow,
    OrderStory,
    PortfolioRow,
    PositionRow,
    PositionStory,
    ReconciliationRow,
    SignalRow,
    SignalStory,
    Standing,
)
from onefill.ports.views import OrderFilter, Page, PositionFilter, SignalFilter, Window
from onefill.postgres.sessions import reading
from onefill.postgres.views import control as views_control
from onefill.postgres.views import orders as views_orders
from onefill.postgres.views import positions as views_positions
from onefill.postgres.views import signals as views_signals
from onefill.postgres.views import statistics as views_statistics


class PostgresViews:
    """Implements `ports.views.Views` on a pool of connections.

    stale_after_s: an instance without a heartbeat for longer is shown as stale (CTL-4).
    """

    def __init__(self, pool: Any, *, stale_after_s: float = 30.0) -> None:
        self._pool = pool
        self._stale_after_s = stale_after_s

    async def signals(self, wanted: SignalFilter, window: Window) -> Page[SignalRow]:
        """Signals by arrival, newest first."""
        async with reading(self._pool) as connection:
            return await views_signals.signals(connection, wanted, window)

    async def signal(self, signal_id: int) -> SignalStory | None:
        """One signal, with all that came of it."""
        async with reading(self._pool) as connection:
            return await views_signals.signal(connection, signal_id)

    async def orders(self, wanted: OrderFilter, window: Window) -> Page[OrderRow]:
        """Order intents by creation, newest first."""
        async with reading(self._pool) as connection:
            return await views_orders.orders(connection, wanted, window)

    async def order(self, client_order_id: str) -> OrderStory | None:
        """One order intent, with its attempts and fills."""
        async with reading(self._pool) as connection:
            return await views_orders.order(connection, client_order_id)

    async def positions(self, wanted: PositionFilter, window: Window) -> Page[PositionRow]:
        """Positions by opening, newest first, with their legs."""
        async with reading(self._pool) as connection:
            return await views_positions.positions(connection, wanted, window)

    async def position(self, position_id: str) -> PositionStory | None:
        """One position, with its orders."""
        async with reading(self._pool) as connection:
            return await views_positions.position(connection, position_id)

    async def portfolio(self, portfolio: str) -> PortfolioRow | None:
        """A portfolio's equity, risk and settings."""
        async with reading(self._pool) as connection:
            return await views_positions.portfolio(connection, portfolio)

    async def statistics(self, portfolio: str) -> StatisticsReport | None:
        """How well a portfolio trades, computed from its fills."""
        async with reading(self._pool) as connection:
            return await views_statistics.statistics_of(connection, portfolio)

    async def equity(self, portfolio: str) -> EquityCurve | None:
        """A portfolio's closed equity over time."""
        async with reading(self._pool) as connection:
            return await views_statistics.equity_of(connection, portfolio)

    async def instances(self) -> tuple[InstanceRow, ...]:
        """All known instances, by name."""
        async with reading(self._pool) as connection:
            return await views_control.instances(connection, self._stale_after_s)

    async def leader(self) -> LeaderRow | None:
        """Who holds the lease; None when nobody ever did."""
        async with reading(self._pool) as connection:
            return await views_control.leader(connection, LEADER)

    async def reconciliation(self) -> ReconciliationRow | None:
        """The last report."""
        async with reading(self._pool) as connection:
            return await views_control.reconciliation(connection)

    async def audit(self, window: Window) -> Page[AuditRow]:
        """Actions of people, newest first."""
        async with reading(self._pool) as connection:
            return await views_control.audit(connection, window)

    async def missed(self, window: Window) -> Page[MissedRow]:
        """What was missed, newest first."""
        async with reading(self._pool) as connection:
            return await views_control.missed(connection, window)

    async def standing(self) -> Standing:
        """Pause, doubts, blocked lanes, what is missed now."""
        async with reading(self._pool) as connection:
            return await views_control.standing(connection)
