"""The other instances, as far as control must know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from onefill.core.control.succession import Heir
from onefill.ports.lease import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another instance that lives, and how it may come to lead."""

    holder: Holder
    heir: Heir


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What an instance tells of itself. state: of the control machine (CTL-9).

    session_key: of the lock that shows its life. heir: whether and how it may come to lead.
    """

    state: str
    is_leader: bool
    version: str
    started_at: datetime
    hostname: str | None = None
    port: int | None = None
    url: str | None = None
    last_signal_processed: datetime | None = None
    session_key: int | None = None
    heir: Heir
    executes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Namesake:
    """Another process under the same name, whose session is there. heard_at: its last heartbeat."""

    boot: UUID
    heard_at: datetime


class Peers(Protocol):
    """The registry of instances. Raises StoreUnavailable."""

    async def beat(self, holder: Holder, presence: Presence) -> None:
        """Say that it lives, and how it is. Raises NameTaken where a later process of this name
        has told so, and its session is there."""
        ...

    async def namesake(self, me: Holder) -> Namesake | None:
        """The process that last told of itself under my name, where its session shows that it is
        still there; None where no sessions show that."""
        ...

    async def leave(self, holder: Holder) -> None:
        """Say that it has stopped by its own will."""
        ...

    async def others(self, me: Holder, timeout_s: float) -> Sequence[Peer]:
        """Those besides me, heard of within that time, not known to be dead, that execute."""
        ...
