"""Control as people see it: gathered from the lease, the instances and the running takeover."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.lead.giving import Giving, Released
from onefill.lead.takeover import Click, Outcome, Takeover
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import Clock
from onefill.ports.coordination import (
    InstanceStatus,
    Reign,
    ReleaseAnswer,
    ShownOperation,
    ShownStep,
    SplitBrainReport,
    StaleInstance,
    TakeAnswer,
    TakeResult,
    operation_id,
)
from onefill.ports.handover import HandoverStore, Operation
from onefill.ports.hints import Topic
from onefill.ports.lease import LEADER
from onefill.ports.rows import InstanceRow, LeaderRow
from onefill.ports.views import Actor, Views
from onefill.ports.witness import Witness, Witnessed

SHOWN_AFTER_END_MS = 60_000
LOOK_EVERY_S = 0.25
"""How soon those who watch hear of what changed elsewhere; here it is told at once."""

FORCE_WARNING = (
    "Warning: by force. Whoever holds control is not asked, and its sessions are ended; what it "
    "was sending is looked up at the broker, never repeated."
)

log = structlog.get_logger()

_MESSAGES = {
    Outcome.ALREADY_ACTIVE: (TakeResult.ALREADY_ACTIVE, "This instance is active already."),
    Outcome.STARTED: (TakeResult.STARTED, "Taking control."),
    Outcome.IN_PROGRESS: (TakeResult.IN_PROGRESS, "A takeover is already in progress."),
    Outcome.OVERTAKEN: (TakeResult.REFUSED, "Control changed hands meanwhile"),
    Outcome.NOT_READY: (TakeResult.REFUSED, "This instance can't act now"),
}


class History(Protocol):
    """Who led when."""

    async def between(self, resource: str, start: datetime, end: datetime) -> Sequence[Any]:
        """Rows that touch this time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the picture comes from. audit: keeps who did what."""

    views: Views
    requests: HandoverStore
    history: History
    witness: Witness
    audit: Callable[[Actor, str, str], Awaitable[None]]


class NodeCoordination:
    """ports.coordination.Coordination of this process."""

    def __init__(
        self,
        *,
        state: NodeState,
        sources: Sources,
        sync: SyncHealth,
        clock: Clock,
        takeover: Takeover | None,
        giving: Giving | None,
        changed: Topic[None],
    ) -> None:
        self._state = state
        self._sources = sources
        self._sync = sync
        self._clock = clock
        self._takeover = takeover
        self._giving = giving
        self._changed = changed
        state.changed.subscribe(lambda _: changed.publish(None))

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the status may have changed."""
        return self._changed.subscribe(lambda _: callback())

    async def watch(self) -> None:
        """Look while somebody watches, and tell of each change elsewhere, until cancelled (IF-4):
        others may exchange control, die, or come to the next step of a takeover."""
        seen: InstanceStatus | None = None
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            if not self._changed.is_heard:
                seen = None
                continue
            found = replace(await self.status(), last_heartbeat=None)
            if seen is not None and found != seen:
                self._changed.publish(None)
            seen = found

    async def status(self) -> InstanceStatus:
        """How this instance stands, now."""
        try:
            leader = await self._sources.views.leader()
            instances = await self._sources.views.instances()
            latest = await self._sources.requests.latest(LEADER)
        except StoreUnavailable:
            return self._status(None, None, None, is_reached=False)
        return self._status(leader, instances, latest, is_reached=True)

    def _status(
        self,
        leader: LeaderRow | None,
        instances: Sequence[InstanceRow] | None,
        latest: Operation | None,
        *,
        is_reached: bool,
    ) -> InstanceStatus:
        me, is_active = self._state.instance, self._state.is_active
        holder = leader.instance if leader is not None else None
        others = [row for row in instances or () if row.instance != me]
        seen = others if is_active else [row for row in others if row.instance == holder]
        operation = _shown(latest)
        is_running = operation is not None and not operation.ended
        return InstanceStatus(
            instance_id=me,
            is_active=is_active,
            active_instance=me if is_active else holder,
            other_alive=any(row.status == "active" for row in others) if is_reached else None,
            other_stale=any(row.stale for row in seen) if is_reached else None,
            last_heartbeat=max((row.last_heartbeat for row in seen), default=None),
            can_take_control=is_reached
            and self._takeover is not None
            and not is_active
            and not is_running,
            state=self._state.state.value,
            epoch=leader.epoch if leader is not None else None,
            redis_connected=self._sources.witness.connected,
            database_connected=is_reached,
            operation=operation,
        )

    async def take_control(self, by: Actor, *, force: bool, epoch: int | None) -> TakeAnswer:
        """Begin a takeover by this instance."""
        if self._takeover is None:
            message = "This instance only takes in signals (role intake); it can't act."
            return TakeAnswer(
                result=TakeResult.REFUSED, message=message, wait_seconds=0, operation_id=None
            )
        wanted = Epoch(epoch) if epoch is not None else None
        click = await self._takeover.click(force=force, epoch=wanted)
        if click.outcome is Outcome.STARTED:
            await self._audit(by, "force control" if force else "take control")
            self._changed.publish(None)
        answer = _answer(click)
        if force and click.outcome is Outcome.STARTED:
            return replace(answer, message=f"{answer.message} {FORCE_WARNING}")
        return answer

    async def release_control(self, by: Actor, *, into_nothing: bool) -> ReleaseAnswer:
        """Give control to another instance."""
        if self._giving is None:
            return ReleaseAnswer(success=False, message="This instance never holds control.")
        released = await self._giving.release(into_nothing=into_nothing, reason="release")
        done = released in (Released.HANDED_OVER, Released.INTO_NOTHING)
        if done:
            await self._audit(by, "release control")
        remedy = ""
        if released in (Released.ALONE, Released.SILENT):
            remedy = '; send {"yes": true} to stop trading until somebody takes control'
        text = released.value
        return ReleaseAnswer(success=done, message=f"{text[0].upper()}{text[1:]}{remedy}.")

    async def history(self, start: datetime, end: datetime) -> tuple[Reign, ...]:
        """Who was active between, in order."""
        now = self._clock.wall()
        rows = await self._sources.history.between(LEADER, start, end)
        return tuple(_reign(row, now) for row in rows)

    async def get_stale_instances(self, timeout_s: float) -> tuple[StaleInstance, ...]:
        """Those not heard of for longer than that, the longest first."""
        rows = await self._sources.views.instances()
        silent = [row for row in rows if row.heartbeat_age_ms > timeout_s * 1000]
        found = [row for row in silent if row.status not in ("stopped", "archived")]
        return tuple(map(_stale, sorted(found, key=lambda row: -row.heartbeat_age_ms)))

    async def detect_split_brain(self) -> SplitBrainReport:
        """What database and witness say, each as far as it can be asked."""
        leader, is_known = None, True
        try:
            leader = await self._sources.views.leader()
        except StoreUnavailable:
            is_known = False
        seen = await self._sources.witness.read(LEADER)
        in_database = leader.instance if leader is not None else None
        in_redis = seen.holder if seen is not None else None
        return SplitBrainReport(
            redis_leader=in_redis,
            db_leader=in_database,
            redis_epoch=seen.epoch if seen is not None else None,
            db_epoch=leader.epoch if leader is not None else None,
            conflict=_conflict(leader, seen, self._sources.witness.connected) if is_known else None,
        )

    async def metrics(self) -> Mapping[str, str | float | bool | None]:
        """The coordinator's figures."""
        report = await self.detect_split_brain()
        beat = self._sync.last_heartbeat
        return {
            "db_sync_success": self._sync.good,
            "db_sync_failure": self._sync.failed,
            "db_sync_failure_rate": round(self._sync.failure_rate, 4),
            "db_sync_avg_latency_ms": round(self._sync.avg_latency_ms, 3),
            "leadership_changes": self._sync.leadership_changes,
            "last_heartbeat": None if beat is None else beat.isoformat(),
            "current_leader_redis": report.redis_leader,
            "current_leader_db": report.db_leader,
            "this_instance": self._state.instance,
            "is_leader": self._state.is_active,
            "heartbeat_running": self._sync.heartbeat_running,
        }

    async def _audit(self, by: Actor, action: str) -> None:
        try:
            await self._sources.audit(by, action, self._state.instance)
        except StoreUnavailable as error:
            log.warning("coordination.not_audited", action=action, error=str(error))


def _conflict(
    leader: LeaderRow | None, seen: Witnessed | None, connected: bool | None
) -> bool | None:
    if seen is None:
        return False if connected is None else None
    names = leader is not None and leader.instance is not None and seen.holder is not None
    return names and leader is not None and seen.epoch != leader.epoch


def _stale(row: InstanceRow) -> StaleInstance:
    return StaleInstance(
        instance=row.instance,
        status="crashed" if row.is_leader else row.status,
        is_leader=False,
        last_heartbeat=row.last_heartbeat,
        stale_s=row.heartbeat_age_ms / 1000,
    )


def _answer(click: Click) -> TakeAnswer:
    result, message = _MESSAGES[click.outcome]
    return TakeAnswer(
        result=result,
        message=f"{message}: {click.detail}." if click.detail else message,
        wait_seconds=click.wait_s,
        operation_id=operation_id(click.operation),
    )


def _shown(operation: Operation | None) -> ShownOperation | None:
    """A takeover that runs, or ended a short while ago."""
    if operation is None or (operation.has_ended and operation.age_ms > SHOWN_AFTER_END_MS):
        return None
    return ShownOperation(
        id=str(operation.id),
        requester=operation.requester.instance,
        expected_epoch=operation.expected,
        force=operation.by_force,
        step=operation.step.value,
        ended=operation.has_ended or operation.age_ms > SHOWN_AFTER_END_MS,
        steps=tuple(
            ShownStep(step=taken.step.value, at=taken.at, by=taken.by, detail=taken.detail)
            for taken in operation.steps
        ),
    )


def _reign(row: Any, now: datetime) -> Reign:
    until = row["released_at"] or now
    return Reign(
        epoch=row["epoch"],
        instance=row["instance"],
        hostname=row["hostname"],
        became_at=row["became_at"],
        released_at=row["released_at"],
        duration_ms=max(0, round((until - row["became_at"]).total_seconds() * 1000)),
        reason=row["reason"],
        end_reason=row["end_reason"],
    )
