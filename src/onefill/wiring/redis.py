"""What an instance has besides where a Redis is configured. None of it can hold up trading."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from onefill.config.settings import Settings
from onefill.core.ids import Lane
from onefill.node.state import NodeState
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox
from onefill.ports.lease import LEADER, Holder
from onefill.ports.metrics import Metrics
from onefill.redis.connection import RedisConnection
from onefill.redis.gossip import RedisGossip
from onefill.redis.heartbeat import Facts, RedisHeartbeat
from onefill.redis.messages import RedisMessages
from onefill.redis.witness import RedisWitness

AGAIN_S = 1.0

log = structlog.get_logger()

Loop = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisParts:
    """Everything that stands on Redis in the shared-database topology, and its loops."""

    connection: RedisConnection
    messages: RedisMessages
    witness: RedisWitness
    gossip: RedisGossip
    loops: Sequence[Loop]


def build_redis(
    settings: Settings,
    me: Holder,
    state: NodeState,
    *,
    metrics: Metrics,
    clock: Clock,
    lanes: Inbox[Lane],
) -> RedisParts | None:
    """Nothing is connected yet; None where no Redis is configured."""
    url = settings.redis.url.get_secret_value()
    if not url:
        return None
    timeout_ms = settings.lease.call_timeout_ms
    connection = RedisConnection(url, clock, call_timeout_ms=timeout_ms)
    witness = RedisWitness(connection)
    messages = RedisMessages(url, connection, clock)
    gossip = RedisGossip(url, connection, clock, me=str(me.boot), on_lanes=lanes.add)
    heartbeat = RedisHeartbeat(
        connection,
        clock,
        instance=me.instance,
        tell=lambda: _facts(me, state),
        look=_looking(connection, witness, state, metrics),
    )
    loops = [
        _kept_running("messages", messages.run, clock),
        _kept_running("gossip", gossip.run, clock),
        _kept_running("heartbeat", heartbeat.run, clock),
    ]
    return RedisParts(
        connection=connection,
        messages=messages,
        witness=witness,
        gossip=gossip,
        loops=loops,
    )


def _facts(me: Holder, state: NodeState) -> Facts:
    return {"boot": str(me.boot), "state": state.state.value, "epoch": state.epoch}


def _looking(
    connection: RedisConnection, witness: RedisWitness, state: NodeState, metrics: Metrics
) -> Callable[[], Awaitable[None]]:
    """Tell the node whether Redis is there, and whom it takes for the leader."""

    async def look() -> None:
        seen = await witness.read(LEADER)
        state.redis_up = connection.is_up
        state.redis_leader = seen.holder if seen else None
        metrics.redis_up.set(int(connection.is_up))

    return look


def _kept_running(name: str, run: Loop, clock: Clock) -> Loop:
    """The same loop, but its defects end only itself, for a moment: trading goes on without it."""

    async def run_again() -> None:
        while True:
            try:
                await run()
            except Exception:
                log.exception("redis.defect", part=name)
            await clock.sleep(AGAIN_S)

    return run_again
