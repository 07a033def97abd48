"""Portfolios as people configure them, and the ledger of their capital."""

from __future__ import annotations

from decimal import Decimal

from onefill.core.book import Account, Sizing, TimeBasis
from onefill.postgres.connection import Held
from onefill.postgres.rows import account_of

_READ = "SELECT * FROM portfolio_state WHERE portfolio = $1"
_CONFIGURE = """
INSERT INTO portfolio_state AS s (portfolio, initial_capital, equity_high, sizing, time_basis)
VALUES ($1, $2, $2, $3, $4)
ON CONFLICT (portfolio) DO UPDATE
SET sizing = EXCLUDED.sizing, time_basis = EXCLUDED.time_basis, version = s.version + 1,
    updated_at = clock_timestamp()
RETURNING *"""
_ENTER = """
INSERT INTO capital_ledger (portfolio, amount, note, actor) VALUES ($1, $2, $3, $4)"""
# A deposit is no profit and a withdrawal no loss: the high-water mark moves with both.
_MOVE = """
UPDATE portfolio_state SET movements = movements + $2, equity_high = equity_high + $2,
       version = version + 1, updated_at = clock_timestamp()
WHERE portfolio = $1 RETURNING *"""


class PostgresPortfolios:
    """Reads and changes the state of portfolios, apart from trading."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def read(self, portfolio: str) -> Account | None:
        """Its money; None when there is no such portfolio."""
        rows = await self._held.read(_READ, portfolio)
        return account_of(rows[0]) if rows else None

    async def configure(
        self, portfolio: str, initial_capital: Decimal, sizing: Sizing, time_basis: TimeBasis
    ) -> Account:
        """Make it, or change how it sizes and tells time; the first capital is never edited."""
        rows = await self._held.write(_CONFIGURE, portfolio, initial_capital, sizing, time_basis)
        return account_of(rows[0])

    async def move_capital(
        self, portfolio: str, amount: Decimal, note: str, actor: str
    ) -> Account | None:
        """Deposit (positive) or withdraw (negative); None without such a portfolio (PF-5)."""
        async with self._held.transaction() as transaction:
            rows = await transaction.fetch(_MOVE, portfolio, amount)
            if not rows:
                return None
            await transaction.fetch(_ENTER, portfolio, amount, note, actor)
        return account_of(rows[0])

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()
