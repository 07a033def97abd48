"""ports.watch.WatchStore on PostgreSQL (SIG-21)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from onefill.core.ids import Epoch, Lane
from onefill.core.watch import LOOK_BACK, Heard, Miss, Said, Stand, told
from onefill.ports.watch import JOB, Changes
from onefill.postgres.connection import Held, Row

SAID_MAX = 2_000
"""Of each instrument, the newest: more is no sender's bars."""

# Portfolios that are judged by their signals' own times are replays: nobody waits for those.
_BY_THE_CLOCK = """
NOT EXISTS (SELECT FROM portfolio_state p
            WHERE p.portfolio = s.portfolio AND p.time_basis = 'signal')"""
_BEGAN = """
SELECT clock_timestamp() AS now,
       coalesce((SELECT started_at FROM job_runs WHERE job = $1 ORDER BY id LIMIT 1),
                clock_timestamp()) AS began"""
_LAST = f"""
SELECT i.instrument, newest.heard_at FROM unnest($1::text[]) AS i (instrument)
CROSS JOIN LATERAL (
    SELECT greatest(received_at, signal_time) AS heard_at FROM signal_log s
    WHERE s.instrument = i.instrument AND {_BY_THE_CLOCK} ORDER BY id DESC LIMIT 1) AS newest"""
_SAID = f"""
SELECT said.* FROM unnest($1::text[]) AS i (instrument)
CROSS JOIN LATERAL (
    SELECT id, lane, instrument, received_at, payload,
           concat_ws(': ', processing_status, reason) AS became
    FROM signal_log s
    WHERE s.instrument = i.instrument AND received_at > clock_timestamp() - $2::interval
      AND {_BY_THE_CLOCK} ORDER BY id DESC LIMIT $3) AS said
WHERE said.payload LIKE '%"sequence"%' OR said.payload LIKE '%"market_position"%'
ORDER BY said.id"""
_HELD = """
SELECT p.lane, sum(CASE WHEN p.slot = 'Net' THEN l.bought_quantity - l.sold_quantity
                        ELSE abs(l.bought_quantity - l.sold_quantity) END) AS held
FROM portfolio_positions p JOIN position_legs l USING (position_id)
WHERE p.status <> 'closed' AND p.instrument = ANY($1) GROUP BY p.lane"""
_BUSY = """
SELECT DISTINCT lane FROM order_intents WHERE instrument = ANY($1)
  AND state IN ('NEW', 'SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED')"""

_OPEN = "SELECT kind, subject, says FROM missed_signals WHERE cleared_at IS NULL"
_RAISE = """
INSERT INTO missed_signals (kind, subject, says, since, instance, epoch)
SELECT row.*, $5, $6 FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS row
ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO UPDATE SET says = EXCLUDED.says"""
_CLEAR = """
UPDATE missed_signals SET cleared_at = clock_timestamp()
FROM unnest($1::text[], $2::text[]) AS gone (kind, subject)
WHERE missed_signals.kind = gone.kind AND missed_signals.subject = gone.subject
  AND cleared_at IS NULL"""

_Key = tuple[str, str]


class PostgresWatch:
    """Belongs to one event loop."""

    def __init__(self, held: Held, instance: str) -> None:
        self._held = held
        self._instance = instance

    async def heard(self, instruments: Collection[str]) -> Heard:
        """What was heard of these instruments, in portfolios that trade by the clock."""
        names, read = sorted(instruments), self._held.read
        (moments,) = await read(_BEGAN, JOB)
        return Heard(
            now=moments["now"],
            began=moments["began"],
            last={row["instrument"]: row["heard_at"] for row in await read(_LAST, names)},
            said=[_said(row) for row in await read(_SAID, names, LOOK_BACK, SAID_MAX)],
            held={Lane(row["lane"]): _stand(row) for row in await read(_HELD, names)},
            busy={Lane(row["lane"]) for row in await read(_BUSY, names)},
        )

    async def keep(self, epoch: Epoch, found: Sequence[Miss]) -> Changes:
        """Record what is missed now, and end what is missed no more. Raises Fenced."""
        now = {(miss.kind.value, miss.subject): miss for miss in found}
        async with self._held.guarded(epoch) as transaction:
            known: dict[_Key, str] = {
                (row["kind"], row["subject"]): row["says"] for row in await transaction.fetch(_OPEN)
            }
            changed = [miss for key, miss in now.items() if known.get(key) != miss.says]
            gone = [key for key in known if key not in now]
            if changed:
                arrays = _columns(changed)
                await transaction.fetch(_RAISE, *arrays, self._instance, int(epoch))
            if gone:
                await transaction.fetch(_CLEAR, *map(list, zip(*gone, strict=True)))
        return Changes(
            raised=[miss for key, miss in now.items() if key not in known],
            over=[known[key] for key in gone],
        )

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()


def _said(row: Row) -> Said:
    try:
        values = json.loads(row["payload"])
    except ValueError:
        values = {}
    fields: Mapping[str, object] = values if isinstance(values, dict) else {}
    return told(fields, Lane(row["lane"]), row["instrument"], row["received_at"], row["became"])


def _stand(row: Row) -> Stand:
    held = row["held"]
    return Stand.LONG if held > 0 else Stand.SHORT if held < 0 else Stand.FLAT


def _columns(found: Sequence[Miss]) -> tuple[list[object], ...]:
    rows = [(miss.kind.value, miss.subject, miss.says, miss.since) for miss in found]
    return tuple(list(column) for column in zip(*rows, strict=True))
