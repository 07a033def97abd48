"""Whether brokers take orders from this instance; one that may not send gives way (ORD-16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, time

import structlog

from onefill.core.control.fitness import worry
from onefill.core.errors import OnefillError, StoreUnavailable
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving
from onefill.node.state import NodeState
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.peers import Peer

log = structlog.get_logger()

Address = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One broker, and what its login must keep to.

    registered: the addresses from which it takes orders; none is any. session_ends: the time of
    day there at which its sessions end. exchanges: what is traded there, with their holidays.
    """

    broker: Broker
    registered: tuple[str, ...] = ()
    session_ends: time | None = None
    exchanges: Callable[[], Sequence[tuple[str, frozenset[date]]]] = lambda: ()


class Fitness:
    """Asks every so often; what it learns is in the state, the heartbeat and the succession.

    address: by which address this instance leaves, where that can be told.
    """

    def __init__(
        self,
        *,
        logins: Sequence[Login],
        state: NodeState,
        elector: Elector,
        giving: Giving,
        others: Callable[[], Awaitable[Sequence[Peer]]],
        address: Address,
        clock: Clock,
        every_s: float,
    ) -> None:
        self._logins = logins
        self._state = state
        self._elector = elector
        self._giving = giving
        self._others = others
        self._address = address
        self._clock = clock
        self._every_s = every_s
        # Not before it is known: else one that may not send could take control at its start.
        elector.heir = replace(elector.heir, may_send=False)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask_once()
            await self._clock.sleep(self._every_s)

    async def ask_once(self) -> None:
        """Ask every broker, alarm, and give way where another instance may send."""
        address = await self._address()
        await asyncio.gather(*(self._ask(login, address) for login in self._logins))
        may_send = not self._state.refused
        if self._elector.heir.may_send is not may_send:
            self._elector.heir = replace(self._elector.heir, may_send=may_send)
            self._elector.look_now()
        if not may_send and self._elector.epoch is not None:
            await self._give_way()

    async def _ask(self, login: Login, address: str | None) -> None:
        name = login.broker.name
        refused = _stranger(login, address)
        if refused is None:
            try:
                refused = await login.broker.refuses_us()
            except OnefillError as error:
                # No answer is no refusal: what was known before stays.
                log.warning("fitness.not_known", broker=name, error=str(error))
                return
        self._note(name, refused)
        concern = worry(refused, login.session_ends, login.exchanges(), self._clock.wall())
        if concern is not None:
            remedy = "Log in at the broker, or register this address; see `onefill doctor`."
            log.critical("fitness.alarm", broker=name, why=concern, remedy=remedy)

    def _note(self, name: str, refused: str | None) -> None:
        if self._state.refused.get(name) == refused:
            return
        log.warning("fitness.changed", broker=name, refused=refused)
        if refused is None:
            self._state.refused.pop(name, None)
        else:
            self._state.refused[name] = refused

    async def _give_way(self) -> None:
        """Hand control to one that may send; while there is none, go on looking after all."""
        try:
            able = [peer for peer in await self._others() if peer.heir.may_send]
            if able:
                await self._giving.release(into_nothing=False, reason="may_not_send")
        except StoreUnavailable as error:
            log.warning("fitness.stays", error=str(error))
        # That it may not send keeps it back for now, and no longer than that.
        self._elector.heir = replace(self._elector.heir, has_released=False)


def _stranger(login: Login, address: str | None) -> str | None:
    if address is None or not login.registered or address in login.registered:
        return None
    return f"orders would leave from {address}, which is not registered there"
