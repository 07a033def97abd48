"""The registry of instances: who runs, where, and since when it was last heard."""

from __future__ import annotations

from onefill.core.control.succession import Heir
from onefill.core.errors import NameTaken
from onefill.ports.lease import Holder
from onefill.ports.peers import Namesake, Peer, Presence
from onefill.postgres.connection import Held, Row
from onefill.postgres.control.vigil import session_has_ended

_BEAT = f"""
INSERT INTO instance_metadata AS m (instance, boot, started_at, last_heartbeat, is_leader,
    leader_acquired_at, state, hostname, port, url, version, last_signal_processed,
    session_key, preferred, may_succeed, executes, may_send)
VALUES ($1, $2, $3, clock_timestamp(), $4, CASE WHEN $4 THEN clock_timestamp() END,
        $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (instance) DO UPDATE
SET boot = EXCLUDED.boot, started_at = EXCLUDED.started_at,
    last_heartbeat = EXCLUDED.last_heartbeat, is_leader = EXCLUDED.is_leader,
    leader_acquired_at = CASE
        WHEN NOT EXCLUDED.is_leader THEN NULL
        WHEN m.is_leader AND m.boot = EXCLUDED.boot THEN m.leader_acquired_at
        ELSE EXCLUDED.leader_acquired_at END,
    state = EXCLUDED.state, status = 'active', hostname = EXCLUDED.hostname,
    port = EXCLUDED.port, url = EXCLUDED.url, version = EXCLUDED.version,
    last_signal_processed = coalesce(EXCLUDED.last_signal_processed, m.last_signal_processed),
    session_key = EXCLUDED.session_key, preferred = EXCLUDED.preferred,
    may_succeed = EXCLUDED.may_succeed, executes = EXCLUDED.executes,
    may_send = EXCLUDED.may_send
WHERE m.boot = EXCLUDED.boot OR m.started_at <= EXCLUDED.started_at
   OR m.session_key IS NULL OR {session_has_ended("m.session_key")}
RETURNING instance"""
# A session that ended tells of a death before the heartbeats do.
_OTHERS = f"""
SELECT instance, boot, preferred, may_succeed, may_send, url FROM instance_metadata
WHERE status = 'active' AND executes AND instance <> $1 AND state <> 'STOPPED'
  AND last_heartbeat > clock_timestamp() - $2 * interval '1 second'
  AND NOT {session_has_ended("session_key")}
ORDER BY instance"""
_NAMESAKE = f"""
SELECT boot, last_heartbeat FROM instance_metadata
WHERE instance = $1 AND boot <> $2 AND session_key IS NOT NULL
  AND NOT {session_has_ended("session_key")}"""
_LEAVE = """
UPDATE instance_metadata SET is_leader = false, leader_acquired_at = NULL, state = 'STOPPED'
WHERE instance = $1 AND boot = $2"""
_INSTANCES = """
SELECT *, extract(epoch FROM clock_timestamp() - last_heartbeat)::float8 AS stale_s
FROM instance_metadata WHERE status = 'active' ORDER BY instance"""
_ARCHIVE = """
UPDATE instance_metadata SET status = 'archived', is_leader = false
WHERE status = 'active' AND last_heartbeat < clock_timestamp() - $1 * interval '1 second'
RETURNING instance"""


class PostgresInstances:
    """The table of instances, by the database's clock (CTL-4, CTL-17)."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def beat(self, holder: Holder, presence: Presence) -> None:
        """Say that it lives, and how it is: one round trip."""
        told = await self._held.write(
            _BEAT,
            holder.instance,
            holder.boot,
            presence.started_at,
            presence.is_leader,
            presence.state,
            presence.hostname,
            presence.port,
            presence.url,
            presence.version,
            presence.last_signal_processed,
            presence.session_key,
            presence.heir.preferred,
            "auto" if presence.heir.automatic else "manual",
            presence.executes,
            presence.heir.may_send,
        )
        if not told:
            raise NameTaken(instance=holder.instance)

    async def namesake(self, me: Holder) -> Namesake | None:
        """The process that last told of itself under my name, if its session is there."""
        rows = await self._held.read(_NAMESAKE, me.instance, me.boot)
        return Namesake(boot=rows[0]["boot"], heard_at=rows[0]["last_heartbeat"]) if rows else None

    async def others(self, me: Holder, timeout_s: float) -> list[Peer]:
        """Those besides me that live and could lead, by name."""
        rows = await self._held.read(_OTHERS, me.instance, timeout_s)
        return [
            Peer(
                holder=Holder(instance=row["instance"], boot=row["boot"]),
                heir=Heir(
                    instance=row["instance"],
                    preferred=row["preferred"],
                    automatic=row["may_succeed"] == "auto",
                    may_send=row["may_send"],
                ),
            )
            for row in rows
        ]

    async def leave(self, holder: Holder) -> None:
        """Say that it has stopped by its own will."""
        await self._held.write(_LEAVE, holder.instance, holder.boot)

    async def all(self) -> list[Row]:
        """Every instance that is not archived, with `stale_s` since its last heartbeat."""
        return await self._held.read(_INSTANCES)

    async def archive(self, timeout_s: float) -> list[str]:
        """Put aside those not heard of for longer than that; says which."""
        return [row["instance"] for row in await self._held.write(_ARCHIVE, timeout_s)]

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()
