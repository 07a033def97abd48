"""Two processes under one name are one too many: they would take the lease, the heartbeats and
the messages from each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from onefill.core.errors import NameTaken
from onefill.node.pulse import BEAT_EVERY_S, LOOK_EVERY_S
from onefill.ports.clock import Clock
from onefill.ports.peers import Namesake

SILENT_AFTER_S = BEAT_EVERY_S + 2

log = structlog.get_logger()


async def outlived(look: Callable[[], Awaitable[Namesake | None]], clock: Clock) -> None:
    """Return when no other process of this name is there, or when one is but is silent: paused or
    cut off, it finds at its next heartbeat that its name is taken. Raises NameTaken when it lives.
    """
    first = await look()
    if first is None:
        return
    log.warning("namesake.waits", boot=str(first.boot), at_most_s=SILENT_AFTER_S)
    until_ms = clock.boottime_ms() + SILENT_AFTER_S * 1000
    while clock.boottime_ms() < until_ms:
        await clock.sleep(LOOK_EVERY_S)
        seen = await look()
        if seen is None:
            return
        if seen != first:
            raise NameTaken(heard_at=seen.heard_at.isoformat())
