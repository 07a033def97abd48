"""The other instances, as far as control must know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from onefill.core.succession import Heir
from onefill.ports.lease import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another instance that lives, and how it may come to lead."""

    holder: Holder
    heir: Heir


class Peers(Protocol):
    """Raises StoreUnavailable."""

    async def others(self, me: Holder, timeout_s: float) -> Sequence[Peer]:
        """Those besides me, heard of within that time, not known to be dead, that execute."""
        ...
