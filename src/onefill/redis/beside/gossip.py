"""What each instance has committed, told to the others on a channel of Redis, after the commit.

One message serves two ends: the fingerprints are the second layer of deduplication (SIG-10), and
the lanes are hints, so that an instance with nothing to do starts at once. A lost message costs a
moment: the constraint finds the duplicate, the sweep finds the lane. Nothing is kept in Redis, so
nothing there can be full, evicted, flushed or left over from a restored database; each message
names the database that it is about, and what is heard is only a reason to look there first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from onefill.core.ids import Lane
from onefill.ports.clock import Clock
from onefill.ports.signal_log import NewSignal
from onefill.redis.beside.listener import Listener
from onefill.redis.connection import RedisConnection, RedisUnavailable

CHANNEL = "ginie:commits"
REMEMBERED_MAX = 50_000
UNTOLD_MAX = 10_000
SIGNALS_A_MESSAGE = 512

log = structlog.get_logger()


class _Commits(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """One message; fingerprints travel as base64."""

    sender: str
    database: str
    fingerprints: list[bytes]
    lanes: list[str]


class RedisGossip:
    """Implements ports.gossip.Gossip while `run` runs.

    me: the boot id, since nobody needs to hear itself. on_lanes: told of lanes that have work.
    """

    def __init__(
        self,
        url: str,
        connection: RedisConnection,
        clock: Clock,
        *,
        me: str,
        on_lanes: Callable[[Iterable[Lane]], None],
    ) -> None:
        self._connection = connection
        self._me = me
        self._on_lanes = on_lanes
        self._listener = Listener(url, clock, CHANNEL, self._hear)
        self._known = Known()
        self._untold: list[tuple[str, NewSignal]] = []
        self._filled = asyncio.Event()

    def may_know(self, database: str, fingerprint: bytes) -> bool:
        """Whether a neighbour said that it committed this signal; it may err both ways."""
        return self._known.has(database, fingerprint)

    def committed(self, database: str, signals: Sequence[NewSignal]) -> None:
        """Tell them, soon; what can't be told is forgotten."""
        if len(self._untold) < UNTOLD_MAX:
            self._untold += [(database, signal) for signal in signals]
            self._filled.set()

    @property
    def connected(self) -> bool:
        """Whether the neighbours can be heard now."""
        return self._listener.connected

    async def run(self) -> None:
        """Tell and listen until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._listener.run())
            loops.create_task(self._tell())

    async def _tell(self) -> None:
        """All that was committed while the last message was under way goes into the next."""
        while True:
            await self._filled.wait()
            group = self._take_group()
            for database in {database for database, _ in group}:
                text = self._message(database, [s for d, s in group if d == database])
                try:
                    await self._connection.call("PUBLISH", CHANNEL, text)
                except RedisUnavailable:
                    self._untold.clear()
                    self._filled.clear()

    def _take_group(self) -> list[tuple[str, NewSignal]]:
        group = self._untold[:SIGNALS_A_MESSAGE]
        del self._untold[:SIGNALS_A_MESSAGE]
        if not self._untold:
            self._filled.clear()
        return group

    def _message(self, database: str, signals: Sequence[NewSignal]) -> bytes:
        fingerprints = [signal.fingerprint for signal in signals]
        lanes = list(dict.fromkeys(str(signal.lane) for signal in signals))
        return msgspec.json.encode(_Commits(self._me, database, fingerprints, lanes))

    def _hear(self, text: bytes) -> None:
        try:
            heard = msgspec.json.decode(text, type=_Commits)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("redis.strange_message", channel=CHANNEL, size=len(text))
            return
        if heard.sender != self._me:
            self._known.add(heard.database, heard.fingerprints)
            self._on_lanes(Lane(lane) for lane in heard.lanes)


class Known:
    """Fingerprints of one database, the latest at hand, in bounded memory.

    Two generations: the young one replaces the old one when it is full.
    """

    def __init__(self, at_most: int = REMEMBERED_MAX) -> None:
        self._half = max(1, at_most // 2)
        self._database = ""
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def has(self, database: str, fingerprint: bytes) -> bool:
        """Whether it was heard of this very database."""
        if database != self._database:
            return False
        return fingerprint in self._young or fingerprint in self._old

    def add(self, database: str, fingerprints: Iterable[bytes]) -> None:
        """Remember them; what was known of another database is void."""
        if database != self._database:
            self._database, self._young, self._old = database, set(), set()
        for fingerprint in fingerprints:
            if len(self._young) >= self._half:
                self._old, self._young = self._young, set()
            self._young.add(fingerprint)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
