"""The check against a witness of epochs, after each renewal."""

from __future__ import annotations

import pytest

from onefill.core.ids import Epoch
from onefill.node.split_brain import SplitBrainCheck
from onefill.ports.metrics import Metrics
from onefill.ports.witness import Witnessed
from support import until


class Remembers:
    """A witness in memory that keeps the port's contract."""

    connected: bool | None = True

    def __init__(self, epoch: int, holder: str | None = None) -> None:
        self.seen = Witnessed(epoch=Epoch(epoch), holder=holder)
        self.asked = 0

    async def read(self, resource: str) -> Witnessed | None:
        return self.seen

    async def write(self, resource: str, epoch: Epoch, holder: str | None) -> Witnessed | None:
        self.asked += 1
        if epoch >= self.seen.epoch:
            self.seen = Witnessed(epoch=epoch, holder=holder)
        return self.seen

    async def close(self) -> None:
        """Nothing to let go."""


def check_with(witness: Remembers) -> tuple[SplitBrainCheck, list[Witnessed], Metrics]:
    """The check, what it found, and its figures."""
    found: list[Witnessed] = []
    metrics = Metrics()
    check = SplitBrainCheck(witness=witness, me="prod", metrics=metrics, ahead=found.append)
    return check, found, metrics


@pytest.mark.req("CTL-7")
async def test_a_witness_behind_the_database_is_overwritten() -> None:
    witness = Remembers(6, "dev")
    check, found, _ = check_with(witness)
    check.renewed(Epoch(7))
    await until(lambda: witness.seen == Witnessed(epoch=Epoch(7), holder="prod"))
    assert found == []


@pytest.mark.req("CTL-7")
async def test_a_witness_ahead_of_the_database_is_told_and_counted_once() -> None:
    witness = Remembers(9, "dev")
    check, found, metrics = check_with(witness)
    for asked in (1, 2):
        check.renewed(Epoch(7))
        await until(lambda asked=asked: witness.asked == asked)
    await until(lambda: found == [witness.seen])
    assert metrics.split_brain.values == {(): 1}
