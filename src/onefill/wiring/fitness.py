"""What brokers are asked of this instance, and who hears of it (ORD-16)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, time

from onefill.brokers.egress import egress_address
from onefill.config.settings import Settings
from onefill.core.instrument import Rules
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving
from onefill.node.fitness import Fitness, Login
from onefill.node.state import NodeState
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.peers import Peer


def build_fitness(
    settings: Settings,
    brokers: Iterable[Broker],
    rules: Rules,
    *,
    state: NodeState,
    elector: Elector,
    giving: Giving,
    others: Callable[[], Awaitable[Sequence[Peer]]],
    clock: Clock,
) -> Fitness:
    """Asks all brokers, as often as the settings say."""
    return Fitness(
        logins=[_login(settings, broker, rules) for broker in brokers],
        state=state,
        elector=elector,
        giving=giving,
        others=others,
        address=egress_address(settings.egress_address, settings.egress_url, clock),
        clock=clock,
        every_s=settings.orders.may_send_every_s,
    )


def _login(settings: Settings, broker: Broker, rules: Rules) -> Login:
    ends = settings.brokers.openalgo.session_ends if broker.name == "openalgo" else ""
    return Login(
        broker=broker,
        registered=settings.broker(broker.name).egress_addresses,
        session_ends=time.fromisoformat(ends) if ends else None,
        exchanges=lambda: _exchanges(broker.name, rules),
    )


def _exchanges(broker: str, rules: Rules) -> list[tuple[str, frozenset[date]]]:
    """Where this broker's instruments trade; signals that bring their own size trade always."""
    names = {each.exchange for each in rules.instruments.values() if each.broker == broker}
    if broker == rules.direct_broker:
        names.add("")
    return [(name, rules.holidays.get(name, frozenset())) for name in sorted(names)]
