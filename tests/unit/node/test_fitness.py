"""An instance asks brokers whether they take its orders, and draws the conclusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import pytest
import structlog

from broker_support import ManualClock
from onefill.core.control.succession import Heir
from onefill.core.errors import BrokerUnavailable
from onefill.core.ids import Epoch
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving
from onefill.node.fitness import Fitness, Login
from onefill.node.state import NodeState
from onefill.ports.broker import Broker
from onefill.ports.lease import Holder
from onefill.ports.peers import Peer


@dataclass
class Door:
    """A broker that says what it is told to."""

    name: str = "binance"
    refused: str | None = None
    is_silent: bool = False

    async def refuses_us(self) -> str | None:
        if self.is_silent:
            raise BrokerUnavailable("away")
        return self.refused


@dataclass
class Seat:
    """The lease, as far as fitness touches it: elector and giving in one."""

    epoch: Epoch | None = None
    heir: Heir = field(default_factory=lambda: Heir(instance="prod"))
    looks: int = 0
    given: list[str] = field(default_factory=list)

    def look_now(self) -> None:
        self.looks += 1

    async def release(self, *, into_nothing: bool, reason: str) -> None:
        assert not into_nothing
        self.given.append(reason)


@dataclass
class House:
    """One instance with one broker, and others."""

    door: Door = field(default_factory=Door)
    seat: Seat = field(default_factory=Seat)
    state: NodeState = field(default_factory=lambda: NodeState("prod", "boot"))
    peers: list[Peer] = field(default_factory=list)
    registered: tuple[str, ...] = ()
    address: str | None = None

    def fitness(self) -> Fitness:
        async def others() -> Sequence[Peer]:
            return self.peers

        async def address() -> str | None:
            return self.address

        always = [("", frozenset[Any]())]
        login = Login(
            broker=cast("Broker", self.door),
            registered=self.registered,
            exchanges=lambda: always,
        )
        return Fitness(
            logins=[login],
            state=self.state,
            elector=cast("Elector", self.seat),
            giving=cast("Giving", self.seat),
            others=others,
            address=address,
            clock=ManualClock(),
            every_s=1,
        )


def peer(*, may_send: bool) -> Peer:
    heir = Heir(instance="dev", may_send=may_send)
    return Peer(holder=Holder(instance="dev", boot=UUID(int=2)), heir=heir)


@pytest.mark.req("ORD-16")
async def test_before_it_is_known_an_instance_does_not_count_as_able() -> None:
    house = House()
    fitness = house.fitness()
    assert not house.seat.heir.may_send
    await fitness.ask_once()
    assert house.seat.heir.may_send
    assert house.seat.looks == 1


@pytest.mark.req("ORD-16")
async def test_a_refused_leader_gives_way_to_one_that_may_send_and_to_no_other() -> None:
    house = House(door=Door(refused="-2015"), seat=Seat(epoch=Epoch(7)))
    fitness = house.fitness()
    house.peers = [peer(may_send=False)]
    with structlog.testing.capture_logs() as logs:
        await fitness.ask_once()
    assert house.seat.given == []
    assert house.state.refused == {"binance": "-2015"}
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == ["fitness.alarm"]
    house.peers = [peer(may_send=True)]
    await fitness.ask_once()
    assert house.seat.given == ["may_not_send"]
    assert not house.seat.heir.may_send
    assert not house.seat.heir.has_released
    house.door.refused = None
    await fitness.ask_once()
    assert house.state.refused == {}
    assert house.seat.heir.may_send


@pytest.mark.req("ORD-16")
async def test_silence_is_no_refusal_and_takes_none_back() -> None:
    house = House(door=Door(is_silent=True))
    fitness = house.fitness()
    await fitness.ask_once()
    assert house.state.refused == {}
    house.door.is_silent, house.door.refused = False, "no session"
    await fitness.ask_once()
    house.door.is_silent = True
    await fitness.ask_once()
    assert house.state.refused == {"binance": "no session"}


@pytest.mark.req("ORD-16")
async def test_who_leaves_by_an_address_that_is_not_registered_sends_nothing() -> None:
    house = House(registered=("10.0.0.1", "10.0.0.2"), address="10.0.0.3")
    fitness = house.fitness()
    await fitness.ask_once()
    assert "10.0.0.3" in house.state.refused["binance"]
    for known in ("10.0.0.2", None):
        house.address = known
        await fitness.ask_once()
        assert house.state.refused == {}
