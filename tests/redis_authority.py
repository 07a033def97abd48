"""Redis behind all ports of the authority, for the contract's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from onefill.core.ids import ClientOrderId
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.ruling import Ruling, RulingRefusal
from onefill.ports.clock import RealClock
from onefill.ports.lease import Holder
from onefill.ports.trading import Settled
from onefill.ports.views import Actor
from onefill.redis.authority import RedisAuthority as Authority
from onefill.redis.connection import RedisConnection
from onefill.redis.control.handovers import RedisHandovers
from onefill.redis.control.lease import RedisLeaseStore
from onefill.redis.memory import NoMemory
from onefill.redis.operators.controls import RedisControls
from onefill.redis.recovery import RedisRecoveryStore
from onefill.redis.signal_log import RedisSignalLog
from onefill.redis.trading.store import RedisTradingStore, Terms
from trading_support import ANN, CAPITAL, read_payload


class RedisAuthority:
    """Each instance has connections of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connections: list[RedisConnection] = []

    def connection(self) -> RedisConnection:
        """A new one."""
        connection = RedisConnection(self.url, RealClock(), call_timeout_ms=5_000)
        self._connections.append(connection)
        return connection

    def leases(self, me: Holder) -> RedisLeaseStore:
        """The leases."""
        return RedisLeaseStore(self.connection())

    def handovers(self, me: Holder) -> RedisHandovers:
        """Requests for control."""
        return RedisHandovers(self.store())

    def store(self) -> Authority:
        """The books."""
        return Authority(self.connection(), NoMemory())

    def signals(self, me: Holder) -> RedisSignalLog:
        """The signal log."""
        return RedisSignalLog(self.store(), me.instance)

    def trading(self, me: Holder) -> RedisTradingStore:
        """The trade path."""
        terms = Terms(read=read_payload, initial_capital=CAPITAL)
        return RedisTradingStore(self.store(), me, terms)

    async def pause(self, paused: bool, *, exits: bool = False) -> None:
        """Pause trading, or resume it."""
        controls, by = RedisControls(self.store()), Actor(name="a test", address=None)
        if paused:
            await controls.pause(by, "", exits=exits)
        else:
            await controls.resume(by, "")

    async def adjust(self, wanted: Adjustment) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand, by a person's word."""
        return await RedisControls(self.store()).adjust(wanted, ANN)

    async def resolve(self, name: ClientOrderId, ruling: Ruling) -> RulingRefusal | None:
        """Settle what is quarantined, by a person's word."""
        return await RedisControls(self.store()).resolve(name, ruling, ANN)

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold of the stored book."""
        return await RedisRecoveryStore(self.store(), "a").broken_promises()

    async def lose_signals(self) -> None:
        """Lose everything."""
        await self.connection().call("FLUSHALL")

    async def now(self) -> datetime:
        """The server's time."""
        return await self.store().now()

    async def close(self) -> None:
        """Let go of everything."""
        for connection in self._connections:
            await connection.close()
