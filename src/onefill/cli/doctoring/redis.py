"""Redis: reachable, quick, durable, never evicting, and with nobody to take over behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from onefill.cli.doctoring.finding import Finding, Grade, fail, ok, warn
from onefill.config.settings import Settings, Topology
from onefill.core.errors import OnefillError
from onefill.ports.clock import Clock
from onefill.redis.connection import RedisConnection

_CALL_MS = 2_000
_WANTED = {
    "appendonly": ("yes", "What is acknowledged must survive a crash: set appendonly yes."),
    "appendfsync": (
        "always",
        "Set appendfsync always: an epoch that a crash resets fences nobody.",
    ),
    "no-appendfsync-on-rewrite": (
        "no",
        "Set no-appendfsync-on-rewrite no: else a rewrite suspends the fsync.",
    ),
    "maxmemory-policy": ("noeviction", "Set maxmemory-policy noeviction: nothing may vanish."),
}


async def redis(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    """Look at the configured Redis. What only an authority needs is a warning beside PostgreSQL."""
    url = settings.redis.url.get_secret_value()
    if not url:
        yield ok("redis", "none: database-only mode")
        return
    is_authority = settings.topology is Topology.SHARED_REDIS
    connection = RedisConnection(url, clock, call_timeout_ms=_CALL_MS)
    try:
        about = _texts(await connection.call("INFO"))
        yield ok("redis", f"{about.get('server_name', 'redis')} {_version(about)}")
        for finding in [*_durability(await _configured(connection)), *_successors(about)]:
            yield finding if is_authority else _milder(finding)
    except OnefillError as error:
        remedy = "Start Redis, or mend ONEFILL_REDIS_URL; without it instances hear less quickly."
        found = fail("redis", f"is not reachable: {error}", remedy)
        yield found if is_authority else _milder(found)
    finally:
        await connection.close()


async def _configured(connection: RedisConnection) -> dict[str, str] | None:
    """Its settings; None where a hosted Redis does not show them."""
    try:
        return _texts(await connection.call("CONFIG GET", *_WANTED))
    except OnefillError:
        return None


def _texts(facts: Mapping[Any, Any]) -> dict[str, str]:
    """Names and values as text: the client makes numbers and bytes of some."""
    return {_text(name): _text(value) for name, value in facts.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _durability(configured: dict[str, str] | None) -> Iterator[Finding]:
    if configured is None:
        remedy = "Ask its provider for appendonly yes, appendfsync always and noeviction."
        yield warn("redis durability", "the server does not show its settings", remedy)
        return
    for name, (wanted, remedy) in _WANTED.items():
        found = configured.get(name, "unknown")
        yield (
            ok(f"redis {name}", found) if found == wanted else fail(f"redis {name}", found, remedy)
        )


def _successors(about: dict[str, str]) -> Iterator[Finding]:
    """A replica that takes over has not seen the last writes: it repeats epochs."""
    remedy = "Use one Redis without replicas that may become the master (no Sentinel, no cluster)."
    if about.get("role") != "master":
        yield fail("redis role", about.get("role", "unknown"), "Name the master in redis.url.")
    if about.get("cluster_enabled") == "1":
        yield fail("redis cluster", "cluster mode is on", remedy)
    replicas = int(about.get("connected_slaves", "0"))
    if replicas:
        yield fail("redis replicas", f"{replicas} may take over", remedy)
    else:
        yield ok("redis replicas", "none")


def _milder(finding: Finding) -> Finding:
    """Beside PostgreSQL, Redis is never an authority: nothing of it stops trading."""
    if finding.grade is not Grade.FAIL:
        return finding
    return warn(finding.subject, finding.found, finding.remedy)


def _version(about: dict[str, str]) -> str:
    return about.get("valkey_version", about.get("redis_version", "?"))
