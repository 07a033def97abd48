"""What an instance has besides where a Redis is configured. None of it can hold up trading."""

from __future__ import annotations

import asyncio
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
from onefill.ports.messages import Message, Messages
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
    look: Loop

    async def close(self) -> None:
        """Say that we lead no more, if we did; let the connections go."""
        await self.look()
        await self.connection.close()


class Carriers:
    """Messages by Redis and by PostgreSQL at once: the quicker one wakes, the other one is lost.

    Implements ports.messages.Messages. Each may be away; `quick` is run among Redis' own loops.
    """

    def __init__(self, quick: Messages, sure: Messages) -> None:
        self._quick = quick
        self._sure = sure

    @property
    def connected(self) -> bool:
        """Whether one of them can be heard now."""
        return self._quick.connected or self._sure.connected

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message, mostly twice; the answer unsubscribes."""
        endings = [each.subscribe(callback) for each in (self._quick, self._sure)]

        def unsubscribe() -> None:
            for end in endings:
                end()

        return unsubscribe

    async def publish(self, message: Message) -> None:
        """Send it by both."""
        await asyncio.gather(self._quick.publish(message), self._sure.publish(message))

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._sure.run()

    async def close(self) -> None:
        """Let the connections go."""
        await self._sure.close()


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
    looking = _Looking(me, connection, witness, state, metrics)
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
    """Tells the witness who leads, as far as we know, and the node what it says."""

    def __init__(
        self,
        me: Holder,
        connection: RedisConnection,
        witness: RedisWitness,
        state: NodeState,
        metrics: Metrics,
    ) -> None:
        self._me = me
        self._connection = connection
        self._witness = witness
        self._state = state
        self._metrics = metrics
        self._told: Epoch | None = None

    async def look(self) -> None:
        """One question, whatever is to be said. Who leads no more is named no more (CTL-7)."""
        state, leads = self._state, self._state.epoch
        if leads is not None:
            seen = await self._witness.write(LEADER, leads, self._me.instance)
            self._told = leads
        elif self._told is not None:
            seen = await self._witness.write(LEADER, self._told, None)
            self._told = None if seen is not None else self._told
        else:
            seen = await self._witness.read(LEADER)
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
