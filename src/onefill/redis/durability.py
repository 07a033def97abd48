"""Whether a Redis may be an authority: durable, never evicting, with nobody to take over behind it.

What is acknowledged must be there after a crash, and nothing that has seen less may ever answer in
its place: an epoch or a fingerprint that is forgotten doubles an order. Source: CTL-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onefill.core.errors import ConfigurationError, OnefillError
from onefill.redis.connection import RedisConnection

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


class UnfitRedis(ConfigurationError):
    """This Redis can't be the authority: it may forget what it has acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that was looked at. remedy: what to change; None: it is as it must be.
    is_hidden: the server does not show it."""

    subject: str
    found: str
    remedy: str | None = None
    is_hidden: bool = False


async def look(connection: RedisConnection) -> list[Seen]:
    """All that decides whether it may be an authority. Raises StoreUnavailable."""
    about = texts(await connection.call("INFO"))
    return [
        Seen(subject="redis", found=f"{about.get('server_name', 'redis')} {_version(about)}"),
        *_durability(await _configured(connection)),
        *_successors(about),
    ]


async def require(connection: RedisConnection) -> None:
    """Raise UnfitRedis with all that must be changed, or StoreUnavailable."""
    wrong = [seen for seen in await look(connection) if seen.remedy and not seen.is_hidden]
    if wrong:
        facts = {seen.subject: seen.found for seen in wrong}
        raise UnfitRedis(remedy=" ".join(seen.remedy or "" for seen in wrong), **facts)


def texts(facts: Mapping[Any, Any]) -> dict[str, str]:
    """Names and values as text: the client makes numbers and bytes of some."""
    return {_text(name): _text(value) for name, value in facts.items()}


async def _configured(connection: RedisConnection) -> dict[str, str] | None:
    """Its settings; None where a hosted Redis does not show them."""
    try:
        return texts(await connection.call("CONFIG GET", *_WANTED))
    except OnefillError:
        return None


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _durability(configured: dict[str, str] | None) -> Iterator[Seen]:
    if configured is None:
        remedy = "Ask its provider for appendonly yes, appendfsync always and noeviction."
        found = "the server does not show its settings"
        yield Seen(subject="redis durability", found=found, remedy=remedy, is_hidden=True)
        return
    for name, (wanted, remedy) in _WANTED.items():
        found = configured.get(name, "unknown")
        is_right = found == wanted
        yield Seen(subject=f"redis {name}", found=found, remedy=None if is_right else remedy)


def _successors(about: dict[str, str]) -> Iterator[Seen]:
    """A replica that takes over has not seen the last writes: it repeats epochs."""
    remedy = "Use one Redis without replicas that may become the master (no Sentinel, no cluster)."
    role = about.get("role", "unknown")
    if role != "master":
        master = "Name the master in redis.url."
        yield Seen(subject="redis role", found=role, remedy=master)
    if about.get("cluster_enabled") == "1":
        yield Seen(subject="redis cluster", found="cluster mode is on", remedy=remedy)
    replicas = int(about.get("connected_slaves", "0"))
    found = f"{replicas} may take over" if replicas else "none"
    yield Seen(subject="redis replicas", found=found, remedy=remedy if replicas else None)


def _version(about: dict[str, str]) -> str:
    return about.get("valkey_version", about.get("redis_version", "?"))
