"""Where signals become durable: one statement, one fsync, for all that arrived together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from onefill.core.errors import invariant
from onefill.core.signal import SignalStatus
from onefill.keeping.apart import RowsRefused
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.signal_log import Logged, NewSignal, Progress, Unloggable
from onefill.postgres.connection import Held

# Numbered in the order of arrival, inserted in the order of fingerprints: without an order common
# to all, two groups that share two fingerprints wait for each other.
_APPEND = """
INSERT INTO signal_log (id, fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                        payload, received_by)
SELECT * FROM (
    SELECT nextval('signal_log_id_seq'), fingerprint, lane, engine, kind, portfolio, instrument,
           signal_time, payload, $9
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::timestamptz[], $8::text[])
        AS row (fingerprint, lane, engine, kind, portfolio, instrument, signal_time, payload)
) AS numbered ORDER BY fingerprint
ON CONFLICT (fingerprint) DO NOTHING RETURNING id, fingerprint"""

_FIND = "SELECT id, fingerprint FROM signal_log WHERE fingerprint = ANY($1::bytea[])"

# A database that was put back to an older state is another one, however that was done: a restored
# folder needs a start of the server, a recovery in time or a promotion another timeline, a
# restored dump another table or another file of it.
DATABASE_SQL = """
SELECT concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
                 (SELECT timeline_id FROM pg_control_checkpoint()),
                 extract(epoch FROM pg_postmaster_start_time()),
                 (SELECT oid FROM pg_database WHERE datname = current_database()),
                 to_regclass('signal_log')::oid, pg_relation_filenode(to_regclass('signal_log')),
                 (SELECT string_agg(pg_relation_filenode(relid)::text, ',' ORDER BY relid)
                  FROM pg_partition_tree(to_regclass('signal_log')))) AS database"""

_COUNT = """
WITH locked AS (
    SELECT id FROM signal_log WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE signal_log s SET duplicates = s.duplicates + c.n, last_duplicate_at = clock_timestamp(),
    last_duplicate_layer = coalesce(c.layer, s.last_duplicate_layer)
FROM unnest($1::bigint[], $2::integer[], $3::text[]) AS c (id, n, layer)
    JOIN locked USING (id) WHERE s.id = c.id"""

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
        known = await self._look_up([s.fingerprint for s in arrived if s.perhaps_logged])
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
        rows = await self._appends.write(_APPEND, *columns, self._instance)
        reach(Failpoint.INTAKE_AFTER_COMMIT)
        found: dict[bytes, Logged | Unloggable] = {
            row["fingerprint"]: Logged(row["id"], True) for row in rows
        }
        if len(found) < len(arrived):
            missing = [s.fingerprint for s in arrived if s.fingerprint not in found]
            found.update(await self._find(missing))
        return found

    async def _find(self, fingerprints: list[bytes]) -> dict[bytes, Logged]:
        found = await self._look_up(fingerprints)
        invariant(
            len(found) == len(fingerprints),
            "a signal that was not inserted is in the log",
            asked=len(fingerprints),
            found=len(found),
        )
        return found

    async def _look_up(self, fingerprints: list[bytes]) -> dict[bytes, Logged]:
        if not fingerprints:
            return {}
        rows = await self._appends.read(_FIND, fingerprints)
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
