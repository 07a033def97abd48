"""Redis: reachable, quick, durable, never evicting, and with nobody to take over behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from onefill.cli.doctoring.finding import Finding, Grade, fail, ok, warn
from onefill.config.settings import Settings, Topology
from onefill.core.errors import OnefillError
from onefill.ports.clock import Clock
from onefill.redis.connection import RedisConnection
from onefill.redis.durability import Seen, look

_CALL_MS = 2_000


async def redis(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    """Look at the configured Redis. What only an authority needs is a warning beside PostgreSQL."""
    url = settings.redis.url.get_secret_value()
    if not url:
        yield ok("redis", "none: database-only mode")
        return
    is_authority = settings.topology is Topology.SHARED_REDIS
    connection = RedisConnection(url, clock, call_timeout_ms=_CALL_MS)
    try:
        for seen in await look(connection):
            finding = _finding(seen)
            yield finding if is_authority else _milder(finding)
    except OnefillError as error:
        remedy = "Start Redis, or mend ONEFILL_REDIS_URL; without it instances hear less quickly."
        found = fail("redis", f"is not reachable: {error}", remedy)
        yield found if is_authority else _milder(found)
    finally:
        await connection.close()


def _finding(seen: Seen) -> Finding:
    if seen.remedy is None:
        return ok(seen.subject, seen.found)
    judge = warn if seen.is_hidden else fail
    return judge(seen.subject, seen.found, seen.remedy)


def _milder(finding: Finding) -> Finding:
    """Beside PostgreSQL, Redis is never an authority: nothing of it stops trading."""
    if finding.grade is not Grade.FAIL:
        return finding
    return warn(finding.subject, finding.found, finding.remedy)
