"""ports.signal_log.SignalLog on a stream of Redis: what is acknowledged was appended and fsynced.

A script looks at the fingerprint and appends, in one step; so of any number of instances that get
the same alert one appends it (SIG-10, CTL-21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onefill.core.signal import ENTRIES
from onefill.ports.signal_log import Logged, NewSignal, Progress, Unloggable
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import micros, status_of
from onefill.redis.keys import FINGERPRINTS, SIGNALS, UNDECIDED, UNDECIDED_EXITS, key

FINGERPRINT_BYTES = 32
_KEYS = [FINGERPRINTS, SIGNALS, UNDECIDED, UNDECIDED_EXITS]


class RedisSignalLog:
    """The log of all signals, in the order of arrival."""

    def __init__(self, authority: RedisAuthority, instance: str) -> None:
        self._authority = authority
        self._instance = instance

    @property
    def database(self) -> str | None:
        """Which store the log is in; None while it does not answer."""
        return self._authority.name

    async def identify(self) -> None:
        """Look again which store it is. Raises StoreLost when it is not the one of before."""
        await self._authority.verify()

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        """Log them in one durable step; the answer is in the batch's order."""
        problems = [_problem(signal) for signal in batch]
        good = [signal for signal, problem in zip(batch, problems, strict=True) if problem is None]
        rows = [_row(signal) for signal in good]
        found = iter(await self._authority.append(_KEYS, self._instance, rows) if rows else ())
        return [_logged(next(found)) if p is None else Unloggable(p) for p in problems]

    async def count_duplicates(
        self, counts: Mapping[int, int], layers: Mapping[int, str] | None = None
    ) -> None:
        """Add to the duplicates of each signal id; layers: what recognised the last one."""
        changes = Changes()
        now = micros(await self._authority.now()) if counts else 0
        for number, count in counts.items():
            changes.write("HINCRBY", key("signal", number), "duplicates", count)
            changes.write("HSET", key("signal", number), "last_duplicate_at", now)
            if layers and number in layers:
                layer = layers[number]
                changes.write("HSET", key("signal", number), "last_duplicate_layer", layer)
        if counts:
            await self._authority.commit(None, changes)

    async def progress(self, signal_ids: Sequence[int]) -> Mapping[int, Progress]:
        """How far these signals have come."""
        seen = await self._authority.look(signals=signal_ids)
        told = {number: status_of(fields) for number, fields in seen.signals.items()}
        return {
            number: Progress(signal_id=number, status=status, reason=reason)
            for number, (status, reason) in told.items()
        }


def _problem(signal: NewSignal) -> str | None:
    """Why it can't be logged; the same as in PostgreSQL, so that either log refuses the same."""
    if len(signal.fingerprint) != FINGERPRINT_BYTES:
        return f"a fingerprint has {FINGERPRINT_BYTES} bytes"
    if any("\0" in text for text in (signal.lane, signal.payload, signal.instrument)):
        return "a text may not hold the character 0"
    return None


def _row(signal: NewSignal) -> list[str]:
    """As append.lua takes it. Its place sorts by lane, signal time and arrival."""
    time_us = micros(signal.signal_time)
    fields = {
        "engine": signal.engine,
        "kind": signal.kind,
        "portfolio": signal.portfolio,
        "instrument": signal.instrument,
        "signal_time": str(time_us),
        "payload": signal.payload,
    }
    is_exit = "0" if signal.kind in ENTRIES else "1"
    place = f"{signal.lane}\0{time_us:020d}"
    flat = [str(part) for pair in fields.items() for part in pair]
    return [signal.fingerprint.hex(), signal.lane, place, is_exit, *flat]


def _logged(answer: Sequence[Any]) -> Logged:
    number, is_fresh = answer
    return Logged(int(number), bool(is_fresh))
