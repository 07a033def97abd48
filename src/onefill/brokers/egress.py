"""By which address this instance is seen from outside. Source: ORD-16."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

import structlog

from onefill.brokers.http import Http, HttpLimits
from onefill.core.errors import BrokerUnavailable
from onefill.ports.clock import Clock

_LIMITS = HttpLimits(reply_within_ms=3_000, reply_bytes_max=1_024)

log = structlog.get_logger()


def egress_address(
    declared: str, url: str, clock: Clock, source_address: str = ""
) -> Callable[[], Awaitable[str | None]]:
    """Tells the declared address, or asks a service that answers with its caller's, as text.

    None where neither is set, or nothing sensible is answered.
    """

    async def ask() -> str | None:
        if declared or not url:
            return declared or None
        http = Http(url, clock, _LIMITS, source_address=source_address)
        try:
            await http.start()
            reply = await http.ask("GET", "", {})
            return str(ipaddress.ip_address(reply.body.decode("ascii").strip()))
        except (BrokerUnavailable, ValueError) as error:
            log.warning("egress.not_known", error=str(error))
            return None
        finally:
            await http.close()

    return ask
