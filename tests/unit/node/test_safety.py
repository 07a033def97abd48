"""SAFE, as an instance shows it, and what ends it."""

from __future__ import annotations

import pytest

from manual_clock import NOON
from onefill.core.control.states import InstanceState
from onefill.core.ids import Epoch
from onefill.core.orders.reconcile import Difference, Finding
from onefill.flow.reconciler import Reconciled
from onefill.node.safety import Safety
from onefill.node.state import NodeState
from onefill.ports.authority import LossRow
from onefill.ports.metrics import Metrics
from onefill.ports.witness import Witnessed
from support import until

LOSS = LossRow(noticed_at=NOON, noticed_by="dev", kind="empty", found="the database is empty")
MINE = Epoch(9)
CLEAN = Reconciled(findings=(), unreachable=())


class Told:
    """A store that says what a test likes."""

    def __init__(self) -> None:
        self.open: LossRow | None = None
        self.quiet = True
        self.above: list[Epoch] = []

    async def look(self) -> LossRow | None:
        return self.open

    async def witness_ahead(self, above: Epoch) -> None:
        self.above.append(above)
        self.open = LOSS

    async def is_quiet(self, epoch: Epoch) -> bool:
        return self.quiet

    async def end(self, epoch: Epoch) -> bool:
        if self.quiet:
            self.open = None
        return self.quiet


class World:
    """An instance that leads."""

    def __init__(self) -> None:
        self.store = Told()
        self.state = NodeState("prod", "boot", state=InstanceState.ACTIVE, epoch=MINE)
        self.metrics = Metrics()
        self.resumed: list[bool] = []
        self.safety = Safety(losses=self.store, state=self.state, metrics=self.metrics)
        self.safety.connect(lambda: self.resumed.append(True))

    async def compare(self, result: Reconciled = CLEAN) -> None:
        await self.safety.before(MINE)
        await self.safety.after(MINE, result)

    async def lose(self) -> None:
        self.store.open = LOSS
        await self.safety.look()


def finding(kind: Difference, *, applied: bool = False) -> Finding:
    return Finding(
        kind=kind,
        broker="binance",
        account="paper",
        symbol="SIM001",
        ours="0",
        theirs="1",
        applied=applied,
    )


def result(*findings: Finding, unreachable: tuple[str, ...] = ()) -> Reconciled:
    return Reconciled(findings=findings, unreachable=unreachable)


@pytest.mark.req("CTL-8")
async def test_an_open_loss_makes_the_instance_safe_and_its_end_lets_it_go_on() -> None:
    world = World()
    await world.lose()
    assert (world.state.state, world.state.is_active) == (InstanceState.SAFE, False)
    assert world.metrics.safe.values == {(): 1}
    assert world.metrics.authority_losses.values == {("empty",): 1}
    await world.compare()
    assert (world.state.loss, world.resumed) == (None, [True])
    assert world.metrics.safe.values == {(): 0}


@pytest.mark.req("CTL-8")
@pytest.mark.parametrize(
    "unexplained",
    [
        result(finding(Difference.QUANTITY)),
        result(finding(Difference.UNKNOWN_OF_OURS)),
        result(finding(Difference.ORPHAN), finding(Difference.MISSED_FILL, applied=True)),
        result(unreachable=("binance",)),
    ],
    ids=["quantity", "unknown", "orphan", "silent broker"],
)
async def test_it_stays_safe_while_anything_is_not_explained(unexplained: Reconciled) -> None:
    world = World()
    await world.lose()
    await world.compare(unexplained)
    assert world.state.state is InstanceState.SAFE
    await world.compare(
        result(finding(Difference.STRANGER), finding(Difference.ENDED, applied=True))
    )
    assert world.state.state is not InstanceState.SAFE


@pytest.mark.req("CTL-8")
async def test_a_comparison_that_began_while_orders_were_in_doubt_explains_nothing() -> None:
    world = World()
    await world.lose()
    world.store.quiet = False
    await world.safety.before(MINE)
    world.store.quiet = True
    await world.safety.after(MINE, CLEAN)
    assert world.state.state is InstanceState.SAFE
    await world.compare()
    assert world.state.state is not InstanceState.SAFE


@pytest.mark.req("CTL-8")
async def test_it_stays_safe_when_new_doubts_came_during_the_comparison() -> None:
    world = World()
    await world.lose()
    await world.safety.before(MINE)
    world.store.quiet = False
    await world.safety.after(MINE, CLEAN)
    assert world.state.state is InstanceState.SAFE


@pytest.mark.req("CTL-7", "CTL-8")
async def test_a_witness_that_is_ahead_makes_it_safe() -> None:
    world = World()
    world.safety.witness_ahead(Witnessed(epoch=Epoch(12), holder="dev"))
    await until(lambda: world.state.state is InstanceState.SAFE)
    assert world.store.above == [12]
