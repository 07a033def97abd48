"""Handing one signal to an instance, and waiting until it has come to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onefill.cli.client import Answer, Client, dumps, explained, good
from onefill.cli.errors import Refused, Unreachable
from onefill.core.signal import END_STATUSES, SignalStatus
from onefill.ports.clock import Clock

TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
"""Answers after which the same signal is sent again: it can't be taken in twice."""
WAIT_S = 2.5
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one signal. duplicate: the log had it before. story: all there is to it."""

    signal_id: int
    status: str
    reason: str | None
    duplicate: bool = False
    story: Mapping[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        """Whether its status is an end status."""
        return is_end(self.status)


class Courier:
    """Delivers to one instance, through its restarts.

    patience_s: for how long nothing may come of one signal before that is an error.
    told: is told why a try was in vain, for a progress bar.
    """

    def __init__(
        self,
        client: Client,
        secret: str,
        clock: Clock,
        *,
        patience_s: float,
        told: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._client = client
        self._secret = secret
        self._clock = clock
        self._patience_ms = patience_s * 1000
        self._told = told

    async def send(self, signal: Mapping[str, object], *, wait: bool) -> Delivered:
        """Post a signal until it is taken in. Raises Refused, Unreachable.

        wait: let the first answer tell the end, if that comes within a moment.
        """
        body = dumps({**signal, "secret": self._secret} if self._secret else signal)
        query = {"wait": "executed", "timeout": WAIT_S} if wait else {}
        answer = await self.insist(
            lambda: self._client.ask("POST", "/webhook", body=body, query=query)
        )
        return _taken(good(answer))

    async def end_of(self, sent: Delivered) -> Delivered:
        """Wait for the end of a signal, and read its story. Raises Unreachable."""
        path = f"/api/signals/{sent.signal_id}"
        started_ms = self._clock.boottime_ms()
        while True:
            story = good(await self.insist(lambda: self._client.ask("GET", path)))
            row = story["signal"]
            told = Delivered(sent.signal_id, row["status"], row["reason"], sent.duplicate, story)
            if told.is_over:
                return told
            if self._clock.boottime_ms() - started_ms > self._patience_ms:
                raise Unreachable(
                    f"signal {sent.signal_id} is still {told.status}",
                    remedy="See `onefill status`: is an instance active, is an order in doubt?",
                )
            await self._clock.sleep(_POLL_S)

    async def insist(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer that a repeat would not change. Raises Unreachable."""
        started_ms = self._clock.boottime_ms()
        pause_s = _FIRST_PAUSE_S
        while True:
            answer, why = await asyncio.to_thread(_tried, ask)
            if answer is not None and answer.status not in TRY_AGAIN:
                return answer
            if self._clock.boottime_ms() - started_ms > self._patience_ms:
                raise Unreachable(why)
            self._told(why)
            asked_for = answer.retry_after_s if answer is not None else None
            await self._clock.sleep(min(asked_for or pause_s, _LONGEST_PAUSE_S))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def is_end(status: str) -> bool:
    """Whether nothing more happens to a signal with this status."""
    return any(status == end for end in END_STATUSES)


def was_refused(status: str) -> bool:
    """Whether the signal ended without what it asked for, for a reason that is no repetition."""
    return is_end(status) and status not in (SignalStatus.EXECUTED, SignalStatus.IGNORED)


def _taken(answer: Mapping[str, Any]) -> Delivered:
    """What a webhook's answer says: its `accepted` is the log's `received`."""
    status, reason = str(answer["status"]), answer.get("reason")
    if "signal_id" not in answer:
        raise Refused(f"the signal was {status}: {reason}")
    is_duplicate = status == "duplicate" or bool(answer.get("duplicate"))
    in_log = "received" if status in ("accepted", "duplicate") else status
    return Delivered(int(answer["signal_id"]), in_log, reason, is_duplicate)


def _tried(ask: Callable[[], Answer]) -> tuple[Answer | None, str]:
    try:
        answer = ask()
    except Unreachable as error:
        return None, str(error)
    return answer, explained(answer)[0]
