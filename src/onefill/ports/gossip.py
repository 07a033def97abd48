"""What instances tell each other of their commits. It only saves time: the log decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from onefill.ports.signal_log import NewSignal


class Gossip(Protocol):
    """The other instances' commits, and ours for them. Nothing here waits or raises.

    database: which database a commit is in (SignalLog.database). What a neighbour says of another
    one, or of this one before a restore, is not known here.
    """

    def may_know(self, database: str, fingerprint: bytes) -> bool:
        """Whether a neighbour said that it committed this signal; it may err both ways."""
        ...

    def committed(self, database: str, signals: Sequence[NewSignal]) -> None:
        """Tell them of signals that are in the log; they may hear it, some time."""
        ...


class Silence:
    """Where there is nobody to talk to."""

    def may_know(self, database: str, fingerprint: bytes) -> bool:
        """Nobody said anything."""
        return False

    def committed(self, database: str, signals: Sequence[NewSignal]) -> None:
        """Nobody hears it."""
