"""ports.handover.HandoverStore: one row for each epoch that somebody wants to end."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from onefill.core.control.handover import Step
from onefill.core.ids import Epoch
from onefill.ports.handover import NewRequest, Operation, StepTaken, in_order
from onefill.ports.lease import Holder
from onefill.postgres.connection import Held, Row

_STEP = """jsonb_build_array(jsonb_build_object(
    'step', {step}::text, 'at', clock_timestamp(), 'by', {by}::text, 'detail', {detail}::text))"""

_READ = """
SELECT *, extract(epoch FROM clock_timestamp() - requested_at)::float8 * 1000 AS age_ms
FROM handover_requests WHERE resource = $1"""

# The key decides: a request that has ended, or whose requester fell silent, gives way to the next,
# as long as it wants an epoch to end that is not over yet.
_OPEN = f"""
INSERT INTO handover_requests AS h
    (resource, expected_epoch, id, requester, boot, by_force, step, steps)
VALUES ($1, $2, $3, $4, $5, $6, '{Step.REQUESTED}',
        {_STEP.format(step=f"'{Step.REQUESTED}'", by="$4", detail="NULL")})
ON CONFLICT (resource, expected_epoch) DO UPDATE
SET id = EXCLUDED.id, requester = EXCLUDED.requester, boot = EXCLUDED.boot,
    by_force = EXCLUDED.by_force, step = EXCLUDED.step, steps = EXCLUDED.steps,
    requested_at = EXCLUDED.requested_at, is_ready = false, ended_at = NULL
WHERE (h.ended_at IS NOT NULL
       OR h.requested_at < clock_timestamp() - $7 * interval '1 millisecond')
  AND NOT EXISTS (SELECT FROM leases WHERE resource = $1 AND epoch > $2)"""

_NOTE = f"""
UPDATE handover_requests
SET step = CASE WHEN ended_at IS NULL THEN $2 ELSE step END,
    steps = steps || {_STEP.format(step="$2", by="$3", detail="$4")},
    is_ready = is_ready OR $2 = '{Step.READY}',
    ended_at = CASE WHEN $2 IN ('{Step.ACTIVE}', '{Step.FAILED}') THEN clock_timestamp()
                    ELSE ended_at END
WHERE id = $1"""


class PostgresHandovers:
    """Takeovers under way and over."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def open(self, wanted: NewRequest) -> Operation:
        """The one operation of this epoch."""
        await self._held.write(
            _OPEN,
            wanted.resource,
            wanted.expected,
            wanted.id,
            wanted.requester.instance,
            wanted.requester.boot,
            wanted.by_force,
            wanted.patience_ms,
        )
        rows = await self._read(" AND expected_epoch = $2", wanted.resource, wanted.expected)
        return rows[0]

    async def current(self, resource: str, expected: Epoch) -> Operation | None:
        """The operation that wants this epoch to end."""
        rows = await self._read(" AND expected_epoch = $2", resource, expected)
        return rows[0] if rows else None

    async def latest(self, resource: str) -> Operation | None:
        """The operation begun last."""
        rows = await self._read(" ORDER BY requested_at DESC LIMIT 1", resource)
        return rows[0] if rows else None

    async def note(self, operation: UUID, step: Step, by: str, detail: str | None = None) -> None:
        """Add a step."""
        await self._held.write(_NOTE, operation, step.value, by, detail)

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()

    async def _read(self, where: str, *arguments: object) -> list[Operation]:
        return [_operation(row) for row in await self._held.read(_READ + where, *arguments)]


def _operation(row: Row) -> Operation:
    steps = tuple(
        StepTaken(
            step=Step(one["step"]),
            at=datetime.fromisoformat(one["at"]),
            by=one["by"],
            detail=one["detail"],
        )
        for one in json.loads(row["steps"])
    )
    return Operation(
        id=row["id"],
        resource=row["resource"],
        expected=Epoch(row["expected_epoch"]),
        requester=Holder(instance=row["requester"], boot=row["boot"]),
        by_force=row["by_force"],
        steps=in_order(steps),
        is_ready=row["is_ready"],
        has_ended=row["ended_at"] is not None,
        age_ms=row["age_ms"],
    )
