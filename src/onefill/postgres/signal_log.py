"""Where signals become durable: one statement, one fsync, for all that arrived together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import structlog

from onefill.core.errors import invariant
from onefill.core.signal import SignalStatus
from onefill.keeping.apart import RowsRefused
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.signal_log import Logged, NewSignal, Progress, Unloggable
from onefill.postgres.connection import Held
from onefill.postgres.faults import YearMissing
from onefill.postgres.years import make_room

log = structlog.get_logger()

# Numbered in the order of arrival, inserted in the order of fingerprints: without an order common
# to all, two groups that share two fingerprints wait for each other. A fingerprint fixes its
# second, so that this is one order over all partitions.
_APPEND = """
INSERT INTO signal_log (id, fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                        signal_second, payload, received_by)
SELECT * FROM (
    SELECT nextval('signal_log_id_seq'), fingerprint, lane, engine, kind, portfolio, instrument,
           signal_time, signal_second, payload, $10
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::timestamptz[], $8::timestamptz[], $9::text[])
        AS row (fingerprint, lane, engine, kind, portfolio, instrument, signal_time, signal_second,
                payload)
) AS numbered ORDER BY fingerprint
ON CONFLICT (fingerprint, signal_second) DO NOTHING RETURNING id, fingerprint"""

# With its second each is looked for in one partition.
_FIND = """
SELECT s.id, s.fingerprint
FROM unnest($1::bytea[], $2::timestamptz[]) AS asked (fingerprint, signal_second)
    JOIN signal_log s USING (fingerprint, signal_second)"""

# A database that was put back to an older state is another one, however that was done: a restored
# folder needs a start of the server, a recovery in time or a promotion another timeline, a
# restored dump another table or another file of it, or of one of its partitions. A new year is
# taken for another database as well, which costs what was remembered, and nothing else.
DATABASE_SQL = """
SELECT concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
                 (SELECT timeline_id FROM pg_control_checkpoint()),
                 extract(epoch FROM pg_postmaster_start_time()),
                 (SELECT oid FROM pg_database WHERE datname = current_database()),
                 to_regclass('signal_log')::oid,
                 (SELECT string_agg(pg_relation_filenode(relid)::text, ',' ORDER BY relid)
                  FROM pg_partition_tree(to_regclass('signal_log')))) AS database"""

_COUNT = """
WITH locked AS (
    SELECT s.id, s.signal_second, c.n, c.layer
    FROM unnest($1::bigint[], $2::integer[], $3::text[]) AS c (id, n, layer)
        JOIN signal_log s USING (id)
    ORDER BY s.id FOR NO KEY UPDATE OF s)
UPDATE signal_log s SET duplicates = s.duplicates + c.n, last_duplicate_at = clock_timestamp(),
    last_duplicate_layer = coalesce(c.layer, s.last_duplicate_layer)
FROM locked c WHERE (s.id, s.signal_second) = (c.id, c.signal_second)"""

_PROGRESS = """
SELECT id, processing_status, reason FROM signal_log WHERE id = ANY($1::bigint[])"""

_columns = attrgetter(
    "fingerprint",
    "lane",
    "engine",
    "kind",
    "portfolio",
    "instrument",
    "signal_time",
    "signal_second",
    "payload",
)


class PostgresSignalLog:
    """ports.signal_log.SignalLog: uniqueness is the database's, nobody else's (SIG-10, SIG-15).

    appends: greeted with DATABASE_SQL.
    """

    def __init__(self, appends: Held, others: Held, instance: str) -> None:
        self._appends = appends
        self._others = others
        self._instance = instance

    @property
    def database(self) -> str | None:
        """Which database the log is in; None while no connection is open."""
        greeted = self._appends.greeted
        return str(greeted["database"]) if greeted else None

    async def identify(self) -> None:
        """Look again which database it is."""
        await self._appends.greet()

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        """Log them in one durable statement; the answer is in the batch's order."""
        first = {signal.fingerprint: signal for signal in reversed(batch)}
        arrived = list(reversed(first.values()))
        known = await self._look_up([s for s in arrived if s.perhaps_logged])
        new = [signal for signal in arrived if signal.fingerprint not in known]
        return _in_order(batch, {**known, **await self._append(new)})

    async def count_duplicates(
        self, counts: Mapping[int, int], layers: Mapping[int, str] | None = None
    ) -> None:
        """Add to the duplicates of each signal id; layers: what recognised the last one."""
        if counts:
            last = [(layers or {}).get(signal_id) for signal_id in counts]
            await self._others.write(_COUNT, list(counts), list(counts.values()), last)

    async def progress(self, signal_ids: Sequence[int]) -> Mapping[int, Progress]:
        """How far these signals have come."""
        rows = await self._others.read(_PROGRESS, list(signal_ids))
        return {
            row["id"]: Progress(
                signal_id=row["id"],
                status=SignalStatus(row["processing_status"]),
                reason=row["reason"],
            )
            for row in rows
        }

    async def close(self) -> None:
        """Let the connections go."""
        await self._appends.close()
        await self._others.close()

    async def _append(self, arrived: list[NewSignal]) -> dict[bytes, Logged | Unloggable]:
        """Split on a refusal, so that one bad row fails itself alone."""
        if not arrived:
            return {}
        try:
            return await self._insert(arrived)
        except RowsRefused as refused:
            if len(arrived) == 1:
                return {arrived[0].fingerprint: Unloggable(str(refused))}
        half = len(arrived) // 2
        return {**await self._append(arrived[:half]), **await self._append(arrived[half:])}

    async def _insert(self, arrived: list[NewSignal]) -> dict[bytes, Logged | Unloggable]:
        columns = [list(column) for column in zip(*map(_columns, arrived), strict=True)]
        reach(Failpoint.INTAKE_BEFORE_COMMIT)
        try:
            rows = await self._appends.write(_APPEND, *columns, self._instance)
        except YearMissing:
            # The database slept, and nobody led who would have made it: made now, then tried once
            # more. Whatever fails here is no verdict on the signals.
            await self._make_room(arrived)
            rows = await self._appends.write(_APPEND, *columns, self._instance)
        reach(Failpoint.INTAKE_AFTER_COMMIT)
        found: dict[bytes, Logged | Unloggable] = {
            row["fingerprint"]: Logged(row["id"], True) for row in rows
        }
        if len(found) < len(arrived):
            missing = [s for s in arrived if s.fingerprint not in found]
            found.update(await self._find(missing))
        return found

    async def _make_room(self, arrived: Sequence[NewSignal]) -> None:
        async with self._appends.transaction() as transaction:
            years = await make_room(transaction, {signal.signal_second for signal in arrived})
        log.warning("signal_log.years_made_on_demand", years=years)

    async def _find(self, missing: Sequence[NewSignal]) -> dict[bytes, Logged]:
        found = await self._look_up(missing)
        invariant(
            len(found) == len(missing),
            "a signal that was not inserted is in the log",
            asked=len(missing),
            found=len(found),
        )
        return found

    async def _look_up(self, signals: Sequence[NewSignal]) -> dict[bytes, Logged]:
        if not signals:
            return {}
        seconds = [signal.signal_second for signal in signals]
        rows = await self._appends.read(_FIND, [s.fingerprint for s in signals], seconds)
        return {row["fingerprint"]: Logged(row["id"], False) for row in rows}


def _in_order(
    batch: Sequence[NewSignal], answers: dict[bytes, Logged | Unloggable]
) -> list[Logged | Unloggable]:
    """One answer for each of the batch; only the first of equal ones is fresh."""
    in_order = []
    for signal in batch:
        answer = answers[signal.fingerprint]
        in_order.append(answer)
        if isinstance(answer, Logged) and answer.fresh:
            answers[signal.fingerprint] = Logged(answer.signal_id, False)
    return in_order
