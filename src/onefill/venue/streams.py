"""User streams: what happened, pushed to whoever listens with the account's key.

Nothing is told before it is on the disk. A key is the account's: whoever asks gets the same one,
and who deletes it cuts all off.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from onefill.venue.clock import VenueClock
from onefill.venue.faults import STREAM, Fault, FaultKind, Faults
from onefill.venue.ledger import Ledger, LedgerLost

KEY_VALID_MS = 60 * 60 * 1_000
PATHS = ("/ws", "/private/ws")
_LOOK_AT_KEYS_EVERY_S = 0.2
_UNKNOWN_KEY = 1008

Event = Mapping[str, object]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class _Key:
    name: str
    valid_until_ms: int


@dataclass(slots=True, eq=False)
class _Listener:
    """One connection: what it is still to be sent; None ends it."""

    outbox: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


class Streams:
    """Keys, listeners, and the events on their way to them, with the faults that strike these."""

    def __init__(self, ledger: Ledger, clock: VenueClock, faults: Faults) -> None:
        self._ledger = ledger
        self._clock = clock
        self._faults = faults
        self._keys: dict[str, _Key] = {}
        self._listeners: defaultdict[str, list[_Listener]] = defaultdict(list)
        self._told: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self._silent_until_s: dict[str, float] = {}

    # Keys

    def key_of(self, account: str) -> str:
        """The account's key, made or prolonged."""
        now_ms = self._clock.now_ms()
        key = self._keys.get(account)
        if key is None:
            name = hashlib.sha256(f"{account} {self._clock.now_us()}".encode()).hexdigest()
            key = self._keys[account] = _Key(name, now_ms)
        key.valid_until_ms = now_ms + KEY_VALID_MS
        return key.name

    def prolong(self, account: str) -> str | None:
        """The account's key for another hour; None if there is none."""
        return self.key_of(account) if account in self._keys else None

    def end_key(self, account: str) -> None:
        """Forget the key, and tell and cut off all who listen with it."""
        key = self._keys.pop(account, None)
        if key is None:
            return
        event = {"e": "listenKeyExpired", "E": self._clock.now_ms(), "listenKey": key.name}
        self._deliver(account, event)
        self._cut(account)

    # What happens

    def tell(self, account: str, event: Event) -> None:
        """Put an event on its way; it leaves when all that has happened so far is on the disk."""
        self._told.put_nowait((account, event))

    def has_listeners(self, account: str) -> bool:
        """Whether anybody would hear of what happens to this account."""
        return account in self._listeners

    async def push_for_ever(self) -> None:
        """Send events out as they become durable, until cancelled."""
        while True:
            account, event = await self._told.get()
            try:
                await self._ledger.durable()
            except LedgerLost:
                return
            self._send_badly(account, event)

    async def end_keys_for_ever(self) -> None:
        """End keys that were not prolonged in time, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_AT_KEYS_EVERY_S)
            now_ms = self._clock.now_ms()
            for account in [a for a, key in self._keys.items() if key.valid_until_ms < now_ms]:
                self.end_key(account)

    def _send_badly(self, account: str, event: Event) -> None:
        hits = self._faults.strike(_facts(account, event)) if self._faults.active else {}
        if FaultKind.STREAM_CUT in hits:
            self._cut(account)
        elif FaultKind.STREAM_DROP not in hits:
            times = 2 if FaultKind.STREAM_DUPLICATE in hits else 1
            delay_s = self._delay_s(account, hits)
            for _ in range(times):
                self._later(delay_s, account, event)

    def _delay_s(self, account: str, hits: Mapping[FaultKind, Fault]) -> float:
        """A delayed event is overtaken by others; a stalled stream holds all of them back."""
        now_s = asyncio.get_running_loop().time()
        stall = hits.get(FaultKind.STREAM_STALL)
        if stall is not None:
            self._silent_until_s[account] = now_s + stall.ms / 1_000
        delay = hits.get(FaultKind.STREAM_DELAY)
        delay_s = delay.ms / 1_000 if delay is not None else 0
        return max(delay_s, self._silent_until_s.get(account, 0) - now_s)

    def _later(self, delay_s: float, account: str, event: Event) -> None:
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._deliver, account, event)
        else:
            self._deliver(account, event)

    def _deliver(self, account: str, event: Event) -> None:
        data = msgspec.json.encode(event)
        for listener in self._listeners.get(account, ()):
            listener.outbox.put_nowait(data)

    def _cut(self, account: str) -> None:
        for listener in self._listeners.pop(account, ()):
            listener.outbox.put_nowait(None)

    # Who listens

    async def converse(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one WebSocket until either side ends it."""
        await receive()
        account = self._account_of(_key_in(scope))
        if account is None:
            await send({"type": "websocket.close", "code": _UNKNOWN_KEY})
            return
        listener = _Listener()
        self._listeners[account].append(listener)
        await send({"type": "websocket.accept"})
        sending = asyncio.create_task(_send_all(listener, send))
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._forget(account, listener)

    def _account_of(self, name: str) -> str | None:
        return next((account for account, key in self._keys.items() if key.name == name), None)

    def _forget(self, account: str, listener: _Listener) -> None:
        rest = [other for other in self._listeners.get(account, ()) if other is not listener]
        if rest:
            self._listeners[account] = rest
        else:
            self._listeners.pop(account, None)


async def _send_all(listener: _Listener, send: Send) -> None:
    while (data := await listener.outbox.get()) is not None:
        await send({"type": "websocket.send", "text": data.decode()})
    await send({"type": "websocket.close", "code": 1000})


def _key_in(scope: Message) -> str:
    """The key that a connection names: `/ws/KEY`, or `/private/ws?listenKey=KEY`."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("listenKey")
    path, _, last = scope["path"].rpartition("/")
    if asked:
        return asked[-1] if scope["path"] in PATHS else ""
    return last if path in PATHS else ""


def _facts(account: str, event: Event) -> dict[str, str]:
    """What a fault can be matched against: the event's type, and fields of its order."""
    order = event.get("o")
    named = order if isinstance(order, dict) else {}
    return {
        "kind": STREAM,
        "account": account,
        "event": str(event["e"]),
        "symbol": str(named.get("s", "")),
        "client_order_id": str(named.get("c") or named.get("caid", "")),
        "status": str(named.get("X", "")),
    }
