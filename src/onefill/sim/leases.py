"""ports.lease.LeaseStore on the simulated database, statement by statement as in PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder, Lease
from onefill.sim.connection import Held
from onefill.sim.database import Session
from onefill.sim.tables import LeaseRow, Tables
from onefill.sim.wire import Reply

FIRST_EPOCH = Epoch(1_768_453_200_000_000)

TRUST_SHARE = 4
"""The planted bug: a lease lasts this part of what its holder trusts."""

Policy = Callable[[Session, LeaseRow, Holder], bool]
Told = Callable[[Session, LeaseRow, float], None]
"""Hears of the row that a change ends, and for how many seconds it had to wait."""


class Witness(Protocol):
    """Who watches the lease."""

    def granted(self, epoch: Epoch, holder: Holder) -> None:
        """A new epoch was committed."""
        ...

    def expired(self, epoch: Epoch, holder: Holder) -> None:
        """That holder's lease ran out, and another is taking it now."""
        ...

    def waited(self, seconds: float, taker: Holder) -> None:
        """A taker waited so long for others' transactions to end."""
        ...

    def handed_over(self, epoch: Epoch, holder: Holder, tables: Tables) -> None:
        """That holder gives its lease to another, while this is written."""
        ...


class SimLeaseStore:
    """See postgres/control/lease.py.

    has_bar: False plants a bug: old sessions are neither barred nor ended. has_trust: False plants
    another: leases end before their holders stop by themselves.
    """

    def __init__(
        self,
        renewals: Held,
        takeovers: Held,
        witness: Witness,
        *,
        has_bar: bool,
        has_trust: bool,
    ) -> None:
        self._renewals = renewals
        self._takeovers = takeovers
        self._witness = witness
        self._has_bar = has_bar
        self._lasts_s = 0.001 if has_trust else 0.001 / TRUST_SHARE

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
                has_died=_has_died(session, row),
            )

        return await self._renewals.read(statement)

    async def acquire(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it, if it can be had."""
        if expected == 0:
            return await self._takeovers.write(lambda s: self._create(s, claimant, ttl_ms))
        return await self._take(expected, claimant, ttl_ms, _is_obtainable)

    async def force(
        self, resource: str, expected: Epoch, claimant: Holder, ttl_ms: int
    ) -> Epoch | None:
        """Take it from whoever holds it."""
        return await self._take(expected, claimant, ttl_ms, _is_anothers)

    async def transfer(
        self, resource: str, epoch: Epoch, holder: Holder, to: Holder, *, ttl_ms: int, reason: str
    ) -> Epoch | None:
        """Hand it over in one statement; it waits for the last open fence of this epoch."""

        def is_mine(session: Session, row: LeaseRow, _: Holder) -> bool:
            return row.holder == holder

        def told(session: Session, row: LeaseRow, waited_s: float) -> None:
            self._witness.handed_over(epoch, holder, session.database.tables)

        return await self._takeovers.wait(self._change(epoch, to, ttl_ms, is_mine, told))

    async def renew(self, resource: str, epoch: Epoch, holder: Holder, ttl_ms: int) -> bool:
        """Prolong it; waits for no fence."""

        def statement(session: Session) -> bool:
            row = session.database.tables.lease
            if row is None or row.epoch != epoch or row.holder != holder:
                return False
            row.until_s = session.database.timeline.now_s + ttl_ms * self._lasts_s
            row.is_watched = session.database.is_seen(holder.boot)
            return True

        return await self._renewals.write(statement)

    async def release(
        self, resource: str, epoch: Epoch, holder: Holder, reason: str = "release"
    ) -> bool:
        """Give it up, keeping the epoch."""

        def statement(session: Session) -> bool:
            row = session.database.tables.lease
            if row is None or row.epoch != epoch or row.holder != holder:
                return False
            row.holder = None
            return True

        return await self._renewals.write(statement)

    async def _take(
        self, expected: Epoch, claimant: Holder, ttl_ms: int, policy: Policy
    ) -> Epoch | None:
        """Bar, end the old holder's sessions, change the epoch."""
        try:
            if self._has_bar:
                barred = await self._takeovers.write(lambda s: _bar(s, expected, claimant, policy))
                if barred is None:
                    return None
                await self._terminate(barred[0], claimant)

            def told(session: Session, row: LeaseRow, waited_s: float) -> None:
                self._tell_taken(session, row, claimant, waited_s)

            taken = await self._takeovers.wait(
                self._change(expected, claimant, ttl_ms, policy, told)
            )
        except BaseException:
            await self._unbar(expected)
            raise
        if taken is None:
            await self._unbar(expected)
        return taken

    def _tell_taken(self, session: Session, row: LeaseRow, taker: Holder, waited_s: float) -> None:
        holder = row.holder
        if holder is None or holder == taker:
            return
        self._witness.waited(waited_s, taker)
        if row.until_s < session.database.timeline.now_s and not _has_died(session, row):
            self._witness.expired(row.epoch, holder)

    def _create(self, session: Session, claimant: Holder, ttl_ms: int) -> Epoch | None:
        if session.database.tables.lease is not None:
            return None
        return self._install(session, FIRST_EPOCH, claimant, ttl_ms)

    async def _terminate(self, previous: Holder | None, claimant: Holder) -> None:
        if previous is not None and previous != claimant:
            await self._takeovers.read(lambda s: s.database.end_sessions_of(previous))

    def _change(
        self, expected: Epoch, to: Holder, ttl_ms: int, policy: Policy, told: Told
    ) -> Callable[[Session, Reply[Epoch | None]], None]:
        """The statement that changes the epoch, once no fence of the old one is open."""

        def work(session: Session, reply: Reply[Epoch | None]) -> None:
            began_s = session.database.timeline.now_s
            session.database.when_unfenced(session, lambda: reply(update(session, began_s)))

        def update(session: Session, began_s: float) -> Epoch | None:
            row = session.database.tables.lease
            if row is None or row.epoch != expected or not policy(session, row, to):
                return None
            told(session, row, session.database.timeline.now_s - began_s)
            return self._install(session, Epoch(expected + 1), to, ttl_ms)

        return work

    def _install(self, session: Session, epoch: Epoch, holder: Holder, ttl_ms: int) -> Epoch:
        database = session.database
        until_s = database.timeline.now_s + ttl_ms * self._lasts_s
        is_watched = database.is_seen(holder.boot)
        database.tables.lease = LeaseRow(epoch, holder, until_s, is_watched=is_watched)
        self._witness.granted(epoch, holder)
        return epoch

    async def _unbar(self, expected: Epoch) -> None:
        def statement(session: Session) -> None:
            row = session.database.tables.lease
            if row is not None and row.epoch == expected:
                row.barred = False

        with contextlib.suppress(OnefillError):
            await self._renewals.write(statement)


def _bar(
    session: Session, expected: Epoch, claimant: Holder, policy: Policy
) -> tuple[Holder | None] | None:
    row = session.database.tables.lease
    if row is None or row.epoch != expected or not policy(session, row, claimant):
        return None
    row.barred = True
    return (row.holder,)


def _is_obtainable(session: Session, row: LeaseRow, claimant: Holder) -> bool:
    holder = row.holder
    if holder is None or row.until_s < session.database.timeline.now_s:
        return True
    is_earlier_boot = holder.instance == claimant.instance and holder.boot != claimant.boot
    return is_earlier_boot or _has_died(session, row)


def _is_anothers(session: Session, row: LeaseRow, claimant: Holder) -> bool:
    return row.holder != claimant


def _has_died(session: Session, row: LeaseRow) -> bool:
    if row.holder is None or not row.is_watched:
        return False
    return not session.database.is_seen(row.holder.boot)
