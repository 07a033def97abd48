"""Messages over every carrier that there is: who hears one twice only looks twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from onefill.ports.messages import Message, Messages


class EveryWay:
    """ports.messages.Messages over several; each carrier is run by whoever made it."""

    def __init__(self, carriers: Sequence[Messages]) -> None:
        self._carriers = carriers

    @property
    def connected(self) -> bool:
        """Whether any carrier can be heard."""
        return any(carrier.connected for carrier in self._carriers)

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message of each carrier; the answer unsubscribes."""
        forgetting = [carrier.subscribe(callback) for carrier in self._carriers]

        def forget() -> None:
            for each in forgetting:
                each()

        return forget

    async def publish(self, message: Message) -> None:
        """Send it every way at once."""
        await asyncio.gather(*(carrier.publish(message) for carrier in self._carriers))

    async def run(self) -> None:
        """Nothing by itself."""

    async def close(self) -> None:
        """Each carrier is closed by whoever made it."""
