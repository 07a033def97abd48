"""What accounts have done so far, for the hard limits of a claim (ORD-15)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onefill.core.intent import SLICE_STRIDE
from onefill.core.orders.limits import Candidate, LimitBook, Usage, breach_of, count
from onefill.core.refusal import Refusal
from onefill.postgres.connection import Row, Transaction
from onefill.postgres.trading.rates import LOCK

# An order in slices is judged by all of them, whichever is claimed.
_CANDIDATES = """
SELECT i.client_order_id, i.broker || '/' || i.account AS account, i.symbol, i.adds_exposure,
       (SELECT sum(s.quantity) FROM order_intents s
        WHERE (s.source, s.leg, s.action) = (i.source, i.leg, i.action)
          AND (s.n - i.n) % $2 = 0) AS quantity,
       coalesce(i.price, i.trigger_price, p.last_price, p.signal_price)
           * coalesce(leg.multiplier, 1) AS value
FROM order_intents i
LEFT JOIN portfolio_positions p ON p.position_id = i.position_id
LEFT JOIN position_legs leg ON leg.position_id = i.position_id AND leg.leg = i.leg
WHERE i.client_order_id = ANY($1) AND i.verb = 'place' ORDER BY 2, i.created_at, 1"""
# One claim at a time counts an account's orders, so that two never fill the last place together.
_ORDERS = """
SELECT i.symbol, count(*) AS orders FROM order_attempts a JOIN order_intents i
    USING (client_order_id)
WHERE a.claimed_at > clock_timestamp() - interval '1 minute'
  AND i.broker || '/' || i.account = $1 AND i.verb = 'place'
GROUP BY i.symbol"""
# A net position may live for weeks: what it had gained or lost by midnight is not today's. That is
# what its legs had traded both ways by then, as core/position.py counts it; costs are not split.
_LOST = """
WITH today AS (SELECT date_trunc('day', clock_timestamp(), 'UTC') AS began),
mine AS (
    SELECT p.position_id, p.realised_pnl, p.opened_at FROM portfolio_positions p, today
    WHERE (p.status <> 'closed' OR p.closed_at >= today.began)
      AND EXISTS (SELECT FROM position_legs l WHERE l.position_id = p.position_id
                  AND l.broker || '/' || l.account = $1)),
traded AS (
    SELECT l.position_id, l.leg, l.multiplier,
           coalesce(sum(f.quantity) FILTER (WHERE f.side = 'BUY'), 0) AS bought,
           coalesce(sum(f.value) FILTER (WHERE f.side = 'BUY'), 0) AS paid,
           coalesce(sum(f.quantity) FILTER (WHERE f.side = 'SELL'), 0) AS sold,
           coalesce(sum(f.value) FILTER (WHERE f.side = 'SELL'), 0) AS got
    FROM today JOIN mine ON mine.opened_at < today.began
    JOIN position_legs l ON l.position_id = mine.position_id
    LEFT JOIN (order_intents i JOIN fills f USING (client_order_id))
        ON i.position_id = l.position_id AND i.leg = l.leg AND f.booked_at < today.began
    GROUP BY l.position_id, l.leg, l.multiplier),
closed AS (
    SELECT *, min(least(bought, sold)) OVER (PARTITION BY position_id) AS quantity FROM traded)
SELECT coalesce((SELECT sum(c.quantity * (c.got / c.sold - c.paid / c.bought) * c.multiplier)
                 FROM closed c WHERE c.quantity > 0), 0)
     - coalesce((SELECT sum(mine.realised_pnl) FROM mine), 0) AS lost"""


async def lock(transaction: Transaction, accounts: Iterable[str]) -> None:
    """Let no other claim count until this one has committed. First of all, before any lane."""
    for account in sorted(set(accounts)):
        await transaction.fetch(LOCK, account)


async def breaches(
    transaction: Transaction, names: Sequence[str], book: LimitBook
) -> dict[str, Refusal]:
    """Which of these orders would break a limit, by client order id; oldest first come through."""
    found: dict[str, Refusal] = {}
    usages: dict[str, Usage] = {}
    for row in await transaction.fetch(_CANDIDATES, list(names), SLICE_STRIDE):
        account = row["account"]
        if account not in book.accounts:
            continue
        if account not in usages:
            usages[account] = await _usage(transaction, account)
        order = _candidate(row)
        refusal = breach_of(order, usages[account], book)
        if refusal is None:
            count(order, usages[account], book)
        else:
            found[row["client_order_id"]] = refusal
    return found


async def _usage(transaction: Transaction, account: str) -> Usage:
    rows = await transaction.fetch(_ORDERS, account)
    orders = {f"{account}/{row['symbol']}": int(row["orders"]) for row in rows}
    orders[account] = sum(orders.values())
    lost = (await transaction.fetch(_LOST, account))[0]["lost"]
    return Usage(orders=orders, lost_today=lost)


def _candidate(row: Row) -> Candidate:
    return Candidate(
        account=row["account"],
        symbol=row["symbol"],
        quantity=row["quantity"],
        value=row["value"],
        adds_exposure=row["adds_exposure"],
    )
