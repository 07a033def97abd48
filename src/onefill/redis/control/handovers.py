"""ports.handover.HandoverStore on Redis: one request for each epoch that somebody wants to end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from onefill.core.control.handover import ENDS, Step
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.handover import NewRequest, Operation, StepTaken, in_order
from onefill.ports.lease import Holder
from onefill.redis.authority import Changes, RedisAuthority, Stale
from onefill.redis.documents import body_of, texts_of, time_of
from onefill.redis.keys import key

_ATTEMPTS_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A takeover, as it is stored."""

    id: UUID
    resource: str
    expected: int
    instance: str
    boot: UUID
    by_force: bool
    requested_at: datetime
    steps: tuple[StepTaken, ...]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return any(taken.step in ENDS for taken in self.steps)


@dataclass(frozen=True, slots=True)
class _Kept:
    request: _Request | None
    version: str
    now: datetime


_requests = msgspec.json.Decoder(_Request)
_FIELDS = "local found = redis.call('HGETALL', KEYS[1]) return {redis.call('TIME'), found}"


class RedisHandovers:
    """Takeovers under way and over."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority

    async def open(self, wanted: NewRequest) -> Operation:
        """The one operation of this epoch: a request that has ended, or whose requester fell
        silent, gives way to the next."""
        for _ in range(_ATTEMPTS_MAX):
            kept = await self._read(wanted.resource, wanted.expected)
            if kept.request is not None and not _gives_way(kept, wanted.patience_ms):
                return _operation(kept.request, kept.now)
            try:
                return _operation(await self._write(_new(wanted, kept.now), kept), kept.now)
            except Stale:
                continue
        raise StoreUnavailable("Others ask for control all the time.")

    async def current(self, resource: str, expected: Epoch) -> Operation | None:
        """The operation that wants this epoch to end."""
        kept = await self._read(resource, expected)
        return None if kept.request is None else _operation(kept.request, kept.now)

    async def latest(self, resource: str) -> Operation | None:
        """The operation begun last."""
        epoch = await self._authority.call("GET", key("handover", resource))
        return None if epoch is None else await self.current(resource, Epoch(int(epoch)))

    async def note(self, operation: UUID, step: Step, by: str, detail: str | None = None) -> None:
        """Add a step."""
        place = await self._authority.call("GET", key("operation", operation))
        if place is None:
            return
        resource, _, epoch = place.decode().rpartition("/")
        for _ in range(_ATTEMPTS_MAX):
            kept = await self._read(resource, Epoch(int(epoch)))
            request = kept.request
            if request is None or request.id != operation:
                return
            taken = StepTaken(step=step, at=kept.now, by=by, detail=detail)
            try:
                await self._write(replace(request, steps=(*request.steps, taken)), kept)
                return
            except Stale:
                continue
        raise StoreUnavailable("Others write to this request all the time.")

    async def _read(self, resource: str, expected: Epoch) -> _Kept:
        name = key("handover", resource, str(int(expected)))
        time, fields = await self._authority.run(_FIELDS, [name])
        texts = texts_of(fields)
        body = texts.get("body")
        request = None if body is None else _requests.decode(body)
        return _Kept(request, texts.get("v", "0"), time_of(time))

    async def _write(self, request: _Request, kept: _Kept) -> _Request:
        name = key("handover", request.resource, str(request.expected))
        changes = Changes(versions={name: kept.version})
        changes.write("HSET", name, "v", int(kept.version) + 1, "body", body_of(request))
        changes.write("SET", key("handover", request.resource), request.expected)
        changes.write("SET", key("operation", request.id), f"{request.resource}/{request.expected}")
        await self._authority.commit(None, changes)
        return request


def _gives_way(kept: _Kept, patience_ms: int) -> bool:
    request = kept.request
    if request is None or request.has_ended:
        return True
    return kept.now - request.requested_at > timedelta(milliseconds=patience_ms)


def _new(wanted: NewRequest, now: datetime) -> _Request:
    requester = wanted.requester
    return _Request(
        id=wanted.id,
        resource=wanted.resource,
        expected=int(wanted.expected),
        instance=requester.instance,
        boot=requester.boot,
        by_force=wanted.by_force,
        requested_at=now,
        steps=(StepTaken(step=Step.REQUESTED, at=now, by=requester.instance),),
    )


def _operation(request: _Request, now: datetime) -> Operation:
    return Operation(
        id=request.id,
        resource=request.resource,
        expected=Epoch(request.expected),
        requester=Holder(instance=request.instance, boot=request.boot),
        by_force=request.by_force,
        steps=in_order(request.steps),
        is_ready=any(taken.step is Step.READY for taken in request.steps),
        has_ended=request.has_ended,
        age_ms=(now - request.requested_at) / timedelta(milliseconds=1),
    )
