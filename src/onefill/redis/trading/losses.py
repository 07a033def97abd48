"""ports.authority.Losses on Redis: one that lost commits is not traded on, so SAFE never begins."""

from __future__ import annotations

from onefill.core.ids import Epoch
from onefill.ports.authority import LossRow
from onefill.redis.authority import RedisAuthority


class RedisLosses:
    """A loss is told by the authority itself, and stays until a person put the right Redis back."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority

    async def look(self) -> LossRow | None:
        """None. Raises StoreLost while commits are missing, StoreUnavailable."""
        await self._authority.verify()
        return None

    async def witness_ahead(self, above: Epoch) -> None:
        """There is no witness beside the one Redis."""

    async def is_quiet(self, epoch: Epoch) -> bool:
        """False: there is nothing to end."""
        return False

    async def end(self, epoch: Epoch) -> bool:
        """False: there is nothing to end."""
        return False
