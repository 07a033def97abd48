"""ports.lease.LeaseStore on the simulated database, statement by statement as in PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder, Lease
from onefill.sim.connection import Held
from onefill.sim.database import Session
from onefill.sim.tables import LeaseRow
from onefill.sim.wire import Reply

FIRST_EPOCH = Epoch(1_768_453_200_000_000)

Granted = Callable[[Epoch, Holder], None]


class SimLeaseStore:
    """See postgres/lease.py. granted: told of each new epoch, as it is committed."""

    def __init__(self, renewals: Held, takeovers: Held, granted: Granted, *, has_bar: bool) -> None:
        self._renewals = renewals
        self._takeovers = takeovers
        self._granted = granted
        self._has_bar = has_bar

    async def read(self, resource: str) -> Lease | None:
        """The lease now."""

        def statement(session: Session) -> Lease | None:
            row = session.database.tables.lease
            if row is None:
                return None
            remaining_s = row.until_s - session.database.timeline.now_s
            return Lease(
                resource=resource,
                epoch=row.epoch,
                holder=row.holder,
                remaining_ms=remaining_s * 1000,
                barred=row.barred,
            )

        return await self._renewals.read(statement)

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Bar, terminate, take."""
        if expected == 0:
            return await self._takeovers.write(lambda s: self._create(s, claimant, ttl_ms))
        try:
            if self._has_bar:
                barred = await self._takeovers.write(lambda s: _bar(s, expected, claimant))
                if barred is None:
                    return None
                await self._terminate(barred[0], claimant)
            taken = await self._takeovers.wait(self._take(expected, claimant, ttl_ms))
        except BaseException:
            await self._unbar(expected)
            raise
        if taken is None:
            await self._unbar(expected)
        return taken

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        """Prolong it; waits for no fence."""

        def statement(session: Session) -> bool:
            row = session.database.tables.lease
            if row is None or row.epoch != epoch or row.holder != holder:
                return False
            row.until_s = session.database.timeline.now_s + ttl_ms / 1000
            return True

        return await self._renewals.write(statement)

    async def release(self, resource: str, epoch: Epoch, holder: Holder) -> bool:
        """Give it up, keeping the epoch."""

        def statement(session: Session) -> bool:
            row = session.database.tables.lease
            if row is None or row.epoch != epoch or row.holder != holder:
                return False
            row.holder = None
            return True

        return await self._renewals.write(statement)

    def _create(self, session: Session, claimant: Holder, ttl_ms: int) -> Epoch | None:
        database = session.database
        if database.tables.lease is not None:
            return None
        until_s = database.timeline.now_s + ttl_ms / 1000
        database.tables.lease = LeaseRow(FIRST_EPOCH, claimant, until_s)
        self._granted(FIRST_EPOCH, claimant)
        return FIRST_EPOCH

    async def _terminate(self, previous: Holder | None, claimant: Holder) -> None:
        if previous is not None and previous != claimant:
            await self._takeovers.read(lambda s: s.database.end_sessions_of(previous))

    def _take(
        self, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Callable[[Session, Reply[Epoch | None]], None]:
        def work(session: Session, reply: Reply[Epoch | None]) -> None:
            session.database.when_unfenced(session, lambda: reply(update(session)))

        def update(session: Session) -> Epoch | None:
            row = session.database.tables.lease
            if row is None or not _is_obtainable(session, row, expected, claimant):
                return None
            until_s = session.database.timeline.now_s + ttl_ms / 1000
            taken = LeaseRow(Epoch(expected + 1), claimant, until_s)
            session.database.tables.lease = taken
            self._granted(taken.epoch, claimant)
            return taken.epoch

        return work

    async def _unbar(self, expected: Epoch) -> None:
        def statement(session: Session) -> None:
            row = session.database.tables.lease
            if row is not None and row.epoch == expected:
                row.barred = False

        with contextlib.suppress(OnefillError):
            await self._renewals.write(statement)


def _bar(session: Session, expected: Epoch, claimant: Holder) -> tuple[Holder | None] | None:
    row = session.database.tables.lease
    if row is None or not _is_obtainable(session, row, expected, claimant):
        return None
    row.barred = True
    return (row.holder,)


def _is_obtainable(session: Session, row: LeaseRow, expected: Epoch, claimant: Holder) -> bool:
    if row.epoch != expected:
        return False
    holder = row.holder
    is_over = row.until_s < session.database.timeline.now_s
    is_earlier_boot = (
        holder is not None
        and holder.instance == claimant.instance
        and holder.boot != claimant.boot
    )
    return holder is None or is_over or is_earlier_boot
