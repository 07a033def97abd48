"""Between what Redis holds and the words of the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from onefill.core.book import Mark
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.intent import OrderIntent
from onefill.core.orders.hearing import Fill
from onefill.core.position import Position
from onefill.core.signal import SignalStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_intents = msgspec.json.Decoder(OrderIntent)
_positions = msgspec.json.Decoder(Position)
_marks = msgspec.json.Decoder(tuple[Mark, ...])
_fills = msgspec.json.Decoder(Fill)

order_of: Callable[[bytes], OrderIntent] = _intents.decode
"""An intent's body as the core knows it."""
position_of: Callable[[bytes], Position] = _positions.decode
fill_of: Callable[[bytes], Fill] = _fills.decode

Texts = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIntent:
    """An intent, when it was made and changed (µs), and whose its current attempt is.

    attempts: what is kept of each attempt, by its number; `1:placed` and `1:last` is what was
    heard of it. Only where it was asked for.
    """

    intent: OrderIntent
    made_us: int
    changed_us: int
    instance: str | None
    boot: str | None
    acknowledged: bool
    attempts: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLane:
    """A lane; version 0 is one that nothing was written of yet. undecided: signals, in order."""

    lane: Lane
    version: int
    blocked: str | None
    blocked_at: datetime | None
    last_decided: datetime | None
    marks: tuple[Mark, ...]
    undecided: tuple[Undecided, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A signal that waits. place: where it stands in the list of those."""

    id: int
    place: str
    kind: str
    fingerprint: bytes
    payload: str
    received_at: datetime
    signal_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that was read, of one moment. switch: the kill switch, as it is stored. signals: how far
    those asked for have come."""

    now: datetime
    switch: Texts
    lanes: dict[Lane, KeptLane]
    intents: dict[ClientOrderId, KeptIntent]
    positions: dict[PositionId, Position]
    signals: dict[int, Texts]

    @property
    def paused(self) -> bool:
        """Whether nobody may add exposure."""
        return self.switch.get("paused") == "1"

    @property
    def exits_paused(self) -> bool:
        """Whether nobody may send anything at all."""
        return self.switch.get("exits_paused") == "1"


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int | str) -> datetime:
    """The moment of so many microseconds."""
    return _EPOCH + int(microseconds) * _MICROSECOND


def body_of(thing: object) -> str:
    """An intent, a position, marks, a step: as JSON."""
    return msgspec.json.encode(thing).decode()


def snapshot_of(answer: Any) -> Snapshot:
    """What look.lua found."""
    time, pause, lanes, intents, positions, signals = answer
    kept_lanes = (_lane_of(*lane) for lane in lanes)
    kept_intents = (intent_of(*intent) for intent in intents)
    kept_positions = (_positions.decode(body) for _, body in positions if body is not None)
    return Snapshot(
        now=time_of(time),
        switch=texts_of(pause),
        lanes={lane.lane: lane for lane in kept_lanes},
        intents={kept.intent.client_order_id: kept for kept in kept_intents if kept is not None},
        positions={position.id: position for position in kept_positions},
        signals={int(number): texts_of(fields) for number, fields in signals if fields},
    )


def time_of(answer: Sequence[bytes]) -> datetime:
    """The server's TIME."""
    seconds, microseconds = answer
    return _EPOCH + timedelta(seconds=int(seconds), microseconds=int(microseconds))


def intent_of(name: bytes, fields: Sequence[bytes], attempts: Sequence[bytes] = ()) -> Any:
    """An intent; None where there is none of that name."""
    if not fields:
        return None
    texts = texts_of(fields)
    return KeptIntent(
        intent=_intents.decode(texts["body"]),
        made_us=int(texts["made"]),
        changed_us=int(texts["changed"]),
        instance=texts.get("instance"),
        boot=texts.get("boot"),
        acknowledged="acknowledged" in texts,
        attempts=texts_of(attempts),
    )


def texts_of(flat: Sequence[bytes]) -> Texts:
    """Names and values that follow each other."""
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def status_of(fields: Texts) -> tuple[SignalStatus, str | None]:
    """How far a signal has come, and why."""
    return SignalStatus(fields["status"]), fields.get("reason") or None


def _lane_of(
    name: bytes, fields: Sequence[bytes], undecided: Sequence[tuple[bytes, Any]]
) -> KeptLane:
    texts = texts_of(fields)
    last = texts.get("last_decided")
    return KeptLane(
        lane=Lane(name.decode()),
        version=int(texts.get("v", "0")),
        blocked=texts.get("blocked") or None,
        blocked_at=moment_of(texts["blocked_at"]) if "blocked_at" in texts else None,
        last_decided=moment_of(last) if last else None,
        marks=_marks.decode(texts.get("marks", "[]")),
        undecided=tuple(_undecided_of(place, texts_of(entry)) for place, entry in undecided),
    )


def _undecided_of(place: bytes, entry: Texts) -> Undecided:
    return Undecided(
        id=int(place[-16:]),
        place=place.decode(),
        kind=entry["kind"],
        fingerprint=bytes.fromhex(entry["fingerprint"]),
        payload=entry["payload"],
        received_at=moment_of(entry["received_at"]),
        signal_time=moment_of(entry["signal_time"]),
    )
