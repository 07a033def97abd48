"""Reading and writing positions, money and signals inside a transaction.

Whoever locks more than one kind of row takes them in this order, each kind sorted: lanes,
portfolio_state, order_intents, portfolio_positions, signal_log. So nobody waits in a circle.
(A settlement adds to portfolio_state last: it then holds nothing that a decision waits for.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from onefill.core.book import Account
from onefill.core.errors import invariant
from onefill.core.money import ZERO
from onefill.core.portfolio.equity import Exposure, exposure
from onefill.core.position import Position
from onefill.core.signal import END_STATUSES, SignalStatus
from onefill.keeping.apart import RowsRefused
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Row, Transaction
from onefill.postgres.rows import LEG, POSITION, PositionLeg, account_of, leg_of, position_of

_WITH_LEGS = "FROM portfolio_positions p LEFT JOIN position_legs USING (position_id)"
_OF_LANES = f"""
SELECT * {_WITH_LEGS} WHERE p.status <> 'closed' AND (p.lane = ANY($1) OR p.portfolio = ANY($2))
ORDER BY p.opened_at, position_id, leg"""
_BY_ID = f"SELECT * {_WITH_LEGS} WHERE position_id = ANY($1) ORDER BY position_id, leg"

_ACCOUNTS = "SELECT * FROM portfolio_state WHERE portfolio = ANY($1)"
_ACCOUNTS_LOCKED = f"{_ACCOUNTS} ORDER BY portfolio FOR NO KEY UPDATE"

_WRITE_POSITIONS = f"""
WITH positions AS (
    INSERT INTO portfolio_positions ({POSITION.names})
    SELECT * FROM {POSITION.unnest()}
    ON CONFLICT (position_id) DO UPDATE SET {POSITION.assignments("EXCLUDED", "position_id")}
    WHERE portfolio_positions.version = EXCLUDED.version - 1
    RETURNING 1),
legs AS (
    INSERT INTO position_legs ({LEG.names})
    SELECT * FROM {LEG.unnest(len(POSITION) + 1)}
    ON CONFLICT (position_id, leg) DO UPDATE
    SET {LEG.assignments("EXCLUDED", "position_id", "leg")})
SELECT count(*) AS written FROM positions"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who writes a signal's timeline; no epoch where the write is not fenced."""

    instance: str
    epoch: int | None = None


_NEWS: Columns[SignalNews] = Columns(
    (
        Column("id", "bigint", lambda n: n.signal_id),
        Column("status", "text", lambda n: n.status),
        Column("reason", "text", lambda n: n.reason),
        Column("numbers", "text", lambda n: n.numbers),
    )
)
_TELL = f"""
WITH news AS (SELECT * FROM {_NEWS.unnest()}),
locked AS (
    SELECT s.id, s.signal_second, news.status, news.reason, news.numbers
    FROM signal_log s JOIN news USING (id) ORDER BY s.id FOR NO KEY UPDATE OF s),
changed AS (
    UPDATE signal_log s
    SET processing_status = news.status, reason = news.reason, processed_by_instance = $5,
        decided_at = coalesce(s.decided_at, clock_timestamp()),
        ended_at = CASE WHEN news.status = ANY($8) THEN clock_timestamp() END
    FROM locked news
    WHERE (s.id, s.signal_second) = (news.id, news.signal_second)
      AND s.processing_status = ANY($7)
      AND (s.processing_status, s.reason) IS DISTINCT FROM (news.status, news.reason)
    RETURNING s.id, news.status, news.reason, news.numbers)
INSERT INTO signal_events (signal_id, at, status, reason, numbers, instance, epoch)
SELECT id, clock_timestamp(), status, reason, numbers, $5, $6 FROM changed
RETURNING signal_id, status, reason"""

_LIVE_STATUSES = [status for status in SignalStatus if status not in END_STATUSES]
_ENDED = list(END_STATUSES)


@dataclass(frozen=True, slots=True)
class _Money:
    portfolio: str
    realised: Decimal = ZERO
    carried: Exposure = field(default_factory=Exposure)


_MONEY: Columns[_Money] = Columns(
    (
        Column("portfolio", "text", lambda m: m.portfolio),
        Column("realised", "numeric", lambda m: m.realised),
        Column("margin", "numeric", lambda m: m.carried.margin),
        Column("risk", "numeric", lambda m: m.carried.risk),
        Column("volatility", "numeric", lambda m: m.carried.volatility),
    )
)
_ADD_MONEY = f"""
WITH money AS (SELECT * FROM {_MONEY.unnest()}),
locked AS (
    SELECT s.portfolio FROM portfolio_state s JOIN money USING (portfolio)
    ORDER BY 1 FOR NO KEY UPDATE OF s)
UPDATE portfolio_state s
SET realised_pnl = s.realised_pnl + money.realised,
    equity_high = greatest(s.equity_high, s.closed_equity + money.realised),
    margin_used = s.margin_used + money.margin,
    total_risk_amount = s.total_risk_amount + money.risk,
    total_vol_amount = s.total_vol_amount + money.volatility,
    version = s.version + 1, updated_at = clock_timestamp()
FROM money JOIN locked USING (portfolio) WHERE s.portfolio = money.portfolio
RETURNING s.portfolio"""


async def accounts(
    transaction: Transaction, portfolios: Iterable[str], *, locked: bool
) -> dict[str, Account]:
    """The money of these portfolios; locked until the end of the transaction where asked."""
    names = sorted(set(portfolios))
    if not names:
        return {}
    rows = await transaction.fetch(_ACCOUNTS_LOCKED if locked else _ACCOUNTS, names)
    return {row["portfolio"]: account_of(row) for row in rows}


async def live_positions(
    transaction: Transaction, lanes: Sequence[str], portfolios: Sequence[str]
) -> list[Position]:
    """What is not closed in these lanes, and in all of these portfolios."""
    return _positions(await transaction.fetch(_OF_LANES, lanes, portfolios))


async def positions_by_id(transaction: Transaction, ids: Iterable[str]) -> list[Position]:
    """These positions, closed or not."""
    names = sorted(set(ids))
    return _positions(await transaction.fetch(_BY_ID, names)) if names else []


async def write_positions(transaction: Transaction, changes: Sequence[PositionChange]) -> None:
    """Write positions, and what follows from them for the portfolios. Raises RowsRefused."""
    await write_position_rows(transaction, changes)
    await add_money(transaction, changes)


async def write_position_rows(transaction: Transaction, changes: Sequence[PositionChange]) -> None:
    """Write positions with their legs, where nobody wrote them since they were read. Raises
    RowsRefused when somebody did."""
    if not changes:
        return
    # What ends first: its successor takes the slot in the same statement.
    positions = sorted((change.after for change in changes), key=lambda p: (p.is_live, p.id))
    legs: list[PositionLeg] = [(p.id, leg) for p in positions for leg in p.legs]
    rows = await transaction.fetch(_WRITE_POSITIONS, *POSITION.arrays(positions), *LEG.arrays(legs))
    if rows[0]["written"] != len(positions):
        versions = ", ".join(f"{p.id} {p.version}" for p in positions)
        raise RowsRefused("A position was written since it was read.", versions=versions)


async def tell_signals(
    transaction: Transaction, news: Sequence[SignalNews], teller: Teller, *, reopen: bool = False
) -> list[Row]:
    """Move signals on, each with a row in its timeline; says which moved.

    A signal that has ended stays so, unless reopen (the venue's word wins, ORD-4).
    """
    if not news:
        return []
    last = {item.signal_id: item for item in news}
    allowed = [*_LIVE_STATUSES, *_ENDED] if reopen else _LIVE_STATUSES
    arrays = _NEWS.arrays(list(last.values()))
    return await transaction.fetch(_TELL, *arrays, teller.instance, teller.epoch, allowed, _ENDED)


def _positions(rows: Sequence[Row]) -> list[Position]:
    grouped = itertools.groupby(rows, key=lambda row: row["position_id"])
    return [_position(list(group)) for _, group in grouped]


def _position(rows: Sequence[Row]) -> Position:
    legs = tuple(leg_of(row) for row in rows if row["leg"] is not None)
    return position_of(rows[0], legs)


async def add_money(transaction: Transaction, changes: Sequence[PositionChange]) -> None:
    """Add differences, so that two lanes of one portfolio never overwrite each other's sums."""
    sums: dict[str, _Money] = {}
    for change in changes:
        name = change.after.portfolio
        sums[name] = _plus(sums.get(name, _Money(name)), change)
    changed = [money for money in sums.values() if money != _Money(money.portfolio)]
    if changed:
        rows = await transaction.fetch(_ADD_MONEY, *_MONEY.arrays(changed))
        invariant(len(rows) == len(changed), "each portfolio of a position has its state")


def _plus(money: _Money, change: PositionChange) -> _Money:
    realised, carried = change.after.realised, exposure(change.after)
    if change.before is not None:
        realised -= change.before.realised
        carried = carried + exposure(change.before) * -1
    return _Money(money.portfolio, money.realised + realised, money.carried + carried)
