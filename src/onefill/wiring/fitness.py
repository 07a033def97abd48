"""What brokers are asked of this instance, and who hears of it (ORD-16)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from functools import partial

from onefill.brokers.egress import egress_address
from onefill.config.settings import Settings
from onefill.core.instrument import Rules
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving
from onefill.node.fitness import Fitness, Login
from onefill.ports.broker import Broker
from onefill.wiring.given import Given
from onefill.wiring.leading import STALE_AFTER_S


def build_fitness(
    given: Given, brokers: Iterable[Broker], elector: Elector, giving: Giving
) -> Fitness:
    """Asks all brokers, as often as the settings say."""
    settings = given.settings
    return Fitness(
        logins=[_login(settings, broker, given.rules) for broker in brokers],
        state=given.state,
        elector=elector,
        giving=giving,
        others=partial(given.stores.instances.others, given.me, STALE_AFTER_S),
        address=egress_address(settings.egress_address, settings.egress_url, given.clock),
        clock=given.clock,
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
