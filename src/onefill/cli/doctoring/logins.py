"""Whether brokers take orders from this machine: address, key, and the session of the day."""

from __future__ import annotations

from collections.abc import AsyncIterator

from onefill.brokers.egress import egress_address
from onefill.brokers.registry import build_brokers
from onefill.cli.doctoring.finding import Finding, fail, ok, warn
from onefill.config.settings import Settings
from onefill.core.errors import OnefillError
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.wiring.accounts import accounts_of

_REMEDY = "Log in at the broker, or register this machine's address there (ORD-16)."


async def logins(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    """One finding for each broker's login, and one for the address where some are registered."""
    own = await egress_address(settings.egress_address, settings.egress_url, clock)()
    for broker in build_brokers(accounts_of(settings), clock).values():
        registered = settings.broker(broker.name).egress_addresses
        if registered and own is None:
            remedy = "Set egress_address, or egress_url to a service that tells it."
            yield warn(f"{broker.name} address", "this machine's is not known", remedy)
        elif registered and own not in registered:
            yield fail(f"{broker.name} address", f"{own} is not registered there", _REMEDY)
        yield await _login(broker)


async def _login(broker: Broker) -> Finding:
    subject = f"{broker.name} login"
    try:
        refused = await broker.refuses_us()
    except OnefillError as error:
        return warn(subject, str(error), error.remedy)
    finally:
        await broker.close()
    if refused is not None:
        return fail(subject, refused, _REMEDY)
    return ok(subject, f"takes orders from here ({broker.account})")
