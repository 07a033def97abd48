"""Who leads, who lives, what is stuck, what people did."""

from __future__ import annotations

from typing import Any

from onefill.keeping.paging import id_cursor, page_of, read_json
from onefill.ports.rows import (
    AuditRow,
    BlockedLane,
    InstanceRow,
    LeaderRow,
    MissedRow,
    ReconciliationRow,
    Standing,
)
from onefill.ports.views import Page, Window
from onefill.postgres.control.vigil import session_has_ended
from onefill.postgres.settings import EXITS_PAUSED, TRADING_PAUSED, is_on
from onefill.postgres.views.paging import Where, newest

# A leader that stopped beating, or whose session ended, is shown as crashed, never as leader
# (CTL-17). `gone`: its process ended without a word; `stopped`: with one.
_INSTANCES = f"""
SELECT instance, boot::text, state,
       CASE WHEN status <> 'active' THEN status
            WHEN state = 'STOPPED' THEN 'stopped'
            WHEN is_leader AND (gone OR stale) THEN 'crashed'
            WHEN gone THEN 'gone' WHEN stale THEN 'stale' ELSE status END AS status,
       is_leader AND NOT stale AND NOT gone AS is_leader,
       leader_acquired_at, started_at, last_heartbeat,
       greatest(0, 1000 * extract(epoch FROM age))::bigint AS heartbeat_age_ms, stale,
       last_signal_processed, hostname, port, url, version
FROM (
    SELECT *, clock_timestamp() - last_heartbeat AS age,
           {session_has_ended("session_key")} AS gone,
           clock_timestamp() - last_heartbeat > make_interval(secs => $1) AS stale
    FROM instance_metadata
) seen
ORDER BY instance
"""
_LEADER = """
SELECT CASE WHEN held THEN holder END AS instance, epoch,
       CASE WHEN held THEN (1000 * extract(epoch FROM lease_until - clock_timestamp()))::bigint
            ELSE 0 END AS remaining_ms,
       CASE WHEN held THEN (SELECT url FROM instance_metadata WHERE instance = holder) END AS url
FROM (
    SELECT *, holder IS NOT NULL AND NOT barred AND lease_until > clock_timestamp() AS held
    FROM leases WHERE resource = $1
) lease
"""
_RECONCILIATION = """
SELECT id, at, instance, epoch, trigger, clean, report
FROM reconciliations ORDER BY id DESC LIMIT 1
"""
_PAUSED = f"""
SELECT value = 'true' AS paused, {is_on(EXITS_PAUSED)} AS exits_paused, changed_by, changed_at
FROM settings WHERE key = '{TRADING_PAUSED}'"""
_STUCK = """
SELECT (SELECT count(*) FROM order_intents
        WHERE state IN ('SENDING', 'IN_DOUBT')
          AND (state = 'IN_DOUBT' OR send_by < clock_timestamp())) AS in_doubt,
       (SELECT count(*) FROM order_intents WHERE state = 'QUARANTINED') AS quarantined
"""
_BLOCKED = """
SELECT lane, blocked AS reason, blocked_at AS since
FROM lanes WHERE blocked IS NOT NULL ORDER BY lane
"""

_MISSED = "SELECT id, kind, subject, says, since, raised_at, cleared_at FROM missed_signals"


async def instances(connection: Any, stale_after_s: float) -> tuple[InstanceRow, ...]:
    """All known instances, by name."""
    records = await connection.fetch(_INSTANCES, stale_after_s)
    return tuple(InstanceRow(**record) for record in records)


async def leader(connection: Any, resource: str) -> LeaderRow | None:
    """The lease as the database's clock sees it."""
    record = await connection.fetchrow(_LEADER, resource)
    return None if record is None else LeaderRow(**record)


async def reconciliation(connection: Any) -> ReconciliationRow | None:
    """The last report."""
    record = await connection.fetchrow(_RECONCILIATION)
    if record is None:
        return None
    return ReconciliationRow(**{**record, "report": read_json(record["report"])})


async def audit(connection: Any, window: Window) -> Page[AuditRow]:
    """One page of people's actions."""
    where = Where()
    where.add("id < {}", id_cursor(window.cursor))
    select = "SELECT id, at, actor, address, action, details FROM audit_log"
    records = await newest(connection, select, where, "id DESC", window)
    rows = [AuditRow(**{**record, "details": read_json(record["details"])}) for record in records]
    return page_of(rows, window, lambda row: str(row.id))


async def missed(connection: Any, window: Window) -> Page[MissedRow]:
    """One page of what was missed."""
    where = Where()
    where.add("id < {}", id_cursor(window.cursor))
    records = await newest(connection, _MISSED, where, "id DESC", window)
    return page_of([MissedRow(**one) for one in records], window, lambda row: str(row.id))


async def standing(connection: Any) -> Standing:
    """Pause, doubts, blocked lanes, what is missed; an order past its `send_by` without outcome is
    in doubt."""
    paused = await connection.fetchrow(_PAUSED)
    stuck = await connection.fetchrow(_STUCK)
    blocked = await connection.fetch(_BLOCKED)
    lacking = await connection.fetch(f"{_MISSED} WHERE cleared_at IS NULL ORDER BY id")
    return Standing(
        paused=paused is not None and paused["paused"],
        exits_paused=paused is not None and paused["exits_paused"],
        paused_by=paused["changed_by"] if paused and paused["paused"] else None,
        paused_at=paused["changed_at"] if paused and paused["paused"] else None,
        in_doubt=stuck["in_doubt"],
        quarantined=stuck["quarantined"],
        blocked_lanes=tuple(BlockedLane(**record) for record in blocked),
        missed=tuple(MissedRow(**record) for record in lacking),
    )
