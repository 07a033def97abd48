"""A process's connections to the database, with the same promises as postgres/connection.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from onefill.core.errors import CommitUnknown, Fenced, StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.lease import Holder
from onefill.sim.database import Database, Key, Session, SessionEnded
from onefill.sim.tables import Changes
from onefill.sim.wire import ConnectionLost, Reply, Serve, Wire

T = TypeVar("T")

Work = Callable[[Session, Reply[T]], None]
"""A statement on the server: it answers when it is done, which may be after a wait for locks."""


def plain(statement: Callable[[Session], T]) -> Work[T]:
    """A statement that never waits."""

    def work(session: Session, reply: Reply[T]) -> None:
        reply(statement(session))

    return work


class Transaction:
    """Statements between BEGIN and COMMIT. changes: what the commit will write."""

    def __init__(self, held: Held, session: Session) -> None:
        self._held = held
        self._session = session
        self.changes = Changes()

    async def do(self, work: Work[T]) -> T:
        """The answer of one statement. Raises StoreUnavailable."""
        return await self._held.exchange(self._session, work, committing=False)

    async def lock(self, keys: list[Key], statement: Callable[[Session], T]) -> T:
        """Lock these rows, then run the statement."""

        def work(session: Session, reply: Reply[T]) -> None:
            session.lock(keys, lambda: _answer(session, statement, reply))

        return await self.do(work)


def _answer(session: Session, statement: Callable[[Session], T], reply: Reply[T]) -> None:
    """Run it when its locks are there: then its errors are nobody else's."""
    try:
        reply(statement(session))
    except Exception as error:
        reply(error)  # type: ignore[arg-type]  # the wire raises what is an exception


class Held:
    """One connection, kept for one loop, opened again after a break; its users queue."""

    def __init__(self, database: Database, wire: Wire, holder: Holder) -> None:
        self._database = database
        self._wire = wire
        self._holder = holder
        self._session: Session | None = None
        self._turn = asyncio.Lock()

    async def read(self, statement: Callable[[Session], T]) -> T:
        """The answer of a statement that changes nothing. Raises StoreUnavailable."""
        return await self._alone(plain(statement), committing=False)

    async def write(self, statement: Callable[[Session], T]) -> T:
        """The answer of a statement that commits by itself. Raises CommitUnknown as well."""
        return await self._alone(plain(statement), committing=True)

    async def wait(self, work: Work[T]) -> T:
        """The same, for one that may have to wait on the server."""
        return await self._alone(work, committing=True)

    @contextlib.asynccontextmanager
    async def transaction(self, epoch: Epoch | None = None) -> AsyncIterator[Transaction]:
        """A transaction, of that epoch if one is given; it commits when the block ends well.

        Raises Fenced, StoreUnavailable, CommitUnknown.
        """
        async with self._turn:
            session = await self._connected()
            if not await self.exchange(session, plain(lambda s: s.begin(epoch)), committing=False):
                raise Fenced(epoch=epoch)
            transaction = Transaction(self, session)
            try:
                yield transaction
            except Exception:
                await self._roll_back(session)
                raise
            except BaseException:
                self._drop(session)
                raise
            changes = transaction.changes
            await self.exchange(session, plain(lambda s: s.commit(changes)), committing=True)

    async def exchange(self, session: Session, work: Work[T], *, committing: bool) -> T:
        """One request and its answer; the connection is dropped when anything is amiss."""

        def serve(reply: Reply[Any]) -> None:
            def answer(value: Any) -> None:
                session.broken = None
                reply(value)

            try:
                session.touch()
                session.broken = answer
                work(session, answer)
            except Exception as error:
                answer(error)

        try:
            return await self._ask(serve, committing=committing)
        except BaseException:
            self._drop(session)
            raise

    async def _alone(self, work: Work[T], *, committing: bool) -> T:
        async with self._turn:
            session = await self._connected()
            return await self.exchange(session, work, committing=committing)

    async def _ask(self, serve: Serve[T], *, committing: bool) -> T:
        try:
            return await self._wire.ask(serve)
        except SessionEnded as error:
            raise StoreUnavailable("the server has ended this session") from error
        except ConnectionLost as error:
            kind = CommitUnknown if committing else StoreUnavailable
            raise kind("the connection is lost") from error

    async def _connected(self) -> Session:
        if self._session is not None:
            return self._session

        def connect(reply: Reply[Session]) -> None:
            reply(self._database.connect(self._holder))

        session = await self._ask(connect, committing=False)
        self._session = session
        return session

    async def _roll_back(self, session: Session) -> None:
        if self._session is session:
            with contextlib.suppress(StoreUnavailable):
                await self.exchange(session, plain(lambda s: s.release()), committing=False)

    def _drop(self, session: Session) -> None:
        """Close it; the server notices as soon as it can be told."""
        if self._session is session:
            self._session = None
            self._wire.tell(session.end)
