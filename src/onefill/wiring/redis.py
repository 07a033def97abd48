"""What an instance has besides where a Redis is configured. None of it can hold up trading."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from onefill.config.settings import Settings
from onefill.core.ids import Epoch, Lane
from onefill.node.state import NodeState
from onefill.ports.clock import Clock
from onefill.ports.hints import Inbox
from onefill.ports.lease import LEADER, Holder
from onefill.ports.metrics import Metrics
from onefill.redis.beside.gossip import RedisGossip
from onefill.redis.beside.heartbeat import Facts, RedisHeartbeat
from onefill.redis.beside.messages import RedisMessages
from onefill.redis.beside.witness import RedisWitness
from onefill.redis.connection import RedisConnection

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
    look: Loop

    async def close(self) -> None:
        """Say that we lead no more, if we did; let the connections go."""
        await self.look()
        await self.connection.close()


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
    looking = _Looking(connection, witness, state, metrics)
    heartbeat = RedisHeartbeat(
        connection,
        clock,
        instance=me.instance,
        tell=lambda: _facts(me, state),
        look=looking.look,
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
        look=looking.look,
    )


def _facts(me: Holder, state: NodeState) -> Facts:
    return {"boot": str(me.boot), "state": state.state.value, "epoch": state.epoch}


class _Looking:
    """Tells the node what the witness says, and the witness when we lead no more."""

    def __init__(
        self,
        connection: RedisConnection,
        witness: RedisWitness,
        state: NodeState,
        metrics: Metrics,
    ) -> None:
        self._connection = connection
        self._witness = witness
        self._state = state
        self._metrics = metrics
        self._led: Epoch | None = None

    async def look(self) -> None:
        """One question. Who leads no more is named no more (CTL-7)."""
        state = self._state
        if state.epoch is not None or self._led is None:
            self._led = state.epoch
            seen = await self._witness.read(LEADER)
        else:
            seen = await self._witness.write(LEADER, self._led, None)
            self._led = None if seen is not None else self._led
        state.redis_up = self._connection.is_up
        state.redis_leader = seen.holder if seen else None
        self._metrics.redis_up.set(int(self._connection.is_up))


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
