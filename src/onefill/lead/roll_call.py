"""Who is there now? A heartbeat in the table may be half a minute old, and its writer killed or
paused since."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID, uuid5

from onefill.ports.clock import Clock
from onefill.ports.lease import Holder
from onefill.ports.messages import EVERYBODY, Message, MessageKind, Messages

ANSWER_WITHIN_S = 1.0
ASK_EVERY_S = 0.2
"""A lost question or answer costs this, not the answer."""


class RollCall:
    """Asks the others, and answers them."""

    def __init__(self, *, me: Holder, messages: Messages, clock: Clock) -> None:
        self._me = me
        self._messages = messages
        self._clock = clock
        self._calls = 0
        self._asked: UUID | None = None
        self._present: set[str] = set()
        self._heard = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()
        self._is_leaving = False
        messages.subscribe(self._hear)

    @property
    def is_possible(self) -> bool:
        """Whether anything can be heard: else silence says nothing."""
        return self._messages.connected

    def leave(self) -> None:
        """Answer nobody from now on: control is not for this instance any more."""
        self._is_leaving = True

    async def present(self, hoped_for: str) -> set[str]:
        """The names of those that answer: as soon as this one does, or after a second, however
        slow the carriers are. One call at a time."""
        self._calls += 1
        self._asked = uuid5(self._me.boot, f"roll call/{self._calls}")
        self._present = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while hoped_for not in self._present:
                    await self._say(EVERYBODY, self._asked)
                    await self._listen(hoped_for)
        self._asked = None
        return self._present

    async def _listen(self, hoped_for: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_EVERY_S):
                while hoped_for not in self._present:
                    self._heard.clear()
                    await self._heard.wait()

    def _hear(self, message: Message) -> None:
        if message.kind is not MessageKind.HEARTBEAT or message.request_id is None:
            return
        if not message.is_for(self._me.instance):
            return
        if message.to != EVERYBODY:
            if message.request_id == self._asked:
                self._present.add(message.sender)
                self._heard.set()
        elif not self._is_leaving:
            answer = asyncio.create_task(self._say(message.sender, message.request_id))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def _say(self, to: str, call: UUID) -> None:
        await self._messages.publish(
            Message(
                kind=MessageKind.HEARTBEAT,
                sender=self._me.instance,
                to=to,
                sent_at=self._clock.wall(),
                request_id=call,
            )
        )
