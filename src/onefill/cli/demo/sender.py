"""Sends the signals of the script, as a charting platform would: again until it is taken in."""

from __future__ import annotations

from onefill.cli.delivery import Courier
from onefill.cli.demo.feed import Feed
from onefill.cli.demo.script import PAUSES_S, cues, signal_of
from onefill.cli.errors import Refused, Unreachable
from onefill.ports.clock import Clock


class Sender:
    """acknowledged: signal ids for which the instance has answered for durability."""

    def __init__(self, courier: Courier, feed: Feed, clock: Clock) -> None:
        self.acknowledged: set[int] = set()
        self.repeated = 0
        self.refused: list[str] = []
        self._courier = courier
        self._feed = feed
        self._clock = clock

    async def run(self) -> None:
        """Send until cancelled."""
        for number, cue, twice in cues():
            body = signal_of(number, cue, self._feed.prices, self._clock.wall())
            await self._send(body)
            if twice:
                self.repeated += 1
                await self._send(body)
            await self._clock.sleep(PAUSES_S[number % len(PAUSES_S)])

    async def _send(self, body: dict[str, object]) -> None:
        try:
            sent = await self._courier.send(body, wait=False)
        except (Refused, Unreachable) as error:
            self.refused.append(str(error))
        else:
            self.acknowledged.add(sent.signal_id)
