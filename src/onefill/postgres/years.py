"""Making room in the signal log for years to come, while everybody goes on writing. Source: SIG-17.

The log is partitioned by the second that a fingerprint holds, a partition a year. What has none is
refused by PostgreSQL, never put elsewhere: a DEFAULT partition would have to be searched, under a
lock that stops all, whenever a year is added.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from onefill.core.errors import StoreUnavailable
from onefill.keeping.apart import RowsRefused
from onefill.postgres.connection import Transaction

_LOCK_KEY = 0x0F112
FILLFACTOR = 85
"""As of the first partition: a signal's row is written anew twice in its life."""

# The bounds are read as PostgreSQL writes them; MINVALUE and MAXVALUE have no quotes.
_LACKING = """
WITH bounds AS (
    SELECT pg_get_expr(c.relpartbound, c.oid) AS said
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'signal_log'::regclass),
years AS (
    SELECT substring(said FROM $$FROM \\('([^']+)'\\)$$)::timestamptz AS since,
           substring(said FROM $$TO \\('([^']+)'\\)$$)::timestamptz AS until
    FROM bounds)
SELECT moment FROM unnest($1::timestamptz[]) AS asked (moment)
WHERE NOT EXISTS (SELECT FROM years WHERE moment >= coalesce(since, '-infinity')
                                     AND moment < coalesce(until, 'infinity'))"""
# Bounds are written as the session writes times, and read by us: in a style with names of zones
# IST would be India's on the way out, and Israel's on the way in. And if we wait for longer than a
# second, then for a paused neighbour, whose session ends by itself.
_SET = """
SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
       set_config('lock_timeout', '1s', true)"""
_TAKE_TURNS = f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"
# Made beside the log and attached then: CREATE TABLE … PARTITION OF would lock the whole log
# against reading and writing, ATTACH only against others who change its make-up.
_MAKE = (
    f"CREATE TABLE signal_log_{{year:04}} (LIKE signal_log INCLUDING ALL) "
    f"WITH (fillfactor = {FILLFACTOR})"
)
_ATTACH = (
    "ALTER TABLE signal_log ATTACH PARTITION signal_log_{year:04} "
    "FOR VALUES FROM ('{year:04}-01-01 00:00:00+00') TO ('{next_year:04}-01-01 00:00:00+00')"
)


async def make_room(transaction: Transaction, seconds: Collection[datetime]) -> list[int]:
    """Make the years of these moments where they lack; which years those were.

    Of several who do this at once one makes a year, and the others find it. Until the transaction
    ends they wait for it, a second at the most. Raises StoreUnavailable.
    """
    await transaction.fetch(_SET)
    if not await _lacking(transaction, seconds):
        return []
    await transaction.fetch(_TAKE_TURNS)
    years = await _lacking(transaction, seconds)
    try:
        for year in years:
            await transaction.fetch(_MAKE.format(year=year))
            await transaction.fetch(_ATTACH.format(year=year, next_year=year + 1))
    except RowsRefused as refused:
        # What is refused are rows of PostgreSQL's catalogue (a person made the same table just
        # now): that must never be taken for a verdict on a signal.
        raise StoreUnavailable(f"no room was made for {years}: {refused}") from refused
    return years


async def _lacking(transaction: Transaction, seconds: Collection[datetime]) -> list[int]:
    rows = await transaction.fetch(_LACKING, list(seconds))
    return sorted({row["moment"].astimezone(UTC).year for row in rows})
