"""Our book and each broker's, compared; what differs is recorded, shouted, and shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from onefill.core.errors import OnefillError
from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import OrderIntent
from onefill.core.reconcile import Books, Finding, KnownOrder, Proposal, compare
from onefill.core.report import Absent, Found, OrderReport
from onefill.core.settlement import Told
from onefill.ports.broker import Broker
from onefill.ports.recovery import Holdings, RecoveryStore
from onefill.ports.trading import TradingStore

WORKING_MAX = 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What came of one comparison with all brokers. unreachable: brokers that did not answer."""

    findings: tuple[Finding, ...]
    unreachable: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether every broker answered and nothing differs that was not settled at once."""
        return not self.unreachable and all(finding.applied for finding in self.findings)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Findings before which nothing new may be opened."""
        return tuple(finding for finding in self.findings if finding.blocks)


class Reconciler:
    """Compares with every broker, one after the other.

    books_evidence: whether what a broker says of our own orders is booked without asking.
    """

    def __init__(
        self,
        *,
        trading: TradingStore,
        recovery: RecoveryStore,
        brokers: Sequence[Broker],
        deployment: str,
        tell: Callable[[Told], None],
        books_evidence: bool,
    ) -> None:
        self._trading = trading
        self._recovery = recovery
        self._brokers = brokers
        self._deployment = deployment
        self._tell = tell
        self._books_evidence = books_evidence

    async def run_once(
        self, epoch: Epoch | None, trigger: str, *, apply: bool = False
    ) -> Reconciled:
        """Compare, settle, record and log. Raises StoreUnavailable; a silent broker is noted.

        apply: book what brokers say of our own orders, whatever the policy is.
        """
        findings: list[Finding] = []
        unreachable: list[str] = []
        for broker in self._brokers:
            try:
                findings += await self._compare(broker)
            except OnefillError as error:
                log.warning("reconciler.broker_unreachable", broker=broker.name, error=str(error))
                unreachable.append(broker.name)
        settled = [self._settle(finding, apply=apply) for finding in findings]
        result = Reconciled(findings=tuple(settled), unreachable=tuple(unreachable))
        await self._recovery.save_reconciliation(epoch, trigger, result.clean, report_of(result))
        for finding in settled:
            _shout(finding)
        return result

    def _settle(self, finding: Finding, *, apply: bool) -> Finding:
        """Book what is evidence, where the policy or a person says so."""
        if finding.told is None or finding.proposal is not Proposal.BOOK:
            return finding
        if not (self._books_evidence or apply):
            return finding
        self._tell(finding.told)
        return replace(finding, applied=True)

    async def _compare(self, broker: Broker) -> tuple[Finding, ...]:
        # Ours is read before and after: what moved in between can't be compared this time.
        before = await self._recovery.holdings(broker.name, broker.account)
        working = await self._working_at(broker)
        theirs = await broker.positions()
        open_orders = await broker.open_orders()
        symbols = {*before.net, *theirs, *before.unsettled, *before.recent}
        history = await broker.history(symbols)
        looked_up, missing = await _look_up(broker, working)
        after = await self._recovery.holdings(broker.name, broker.account)
        orders = (*open_orders, *history, *looked_up)
        return compare(
            Books(
                broker=broker.name,
                account=broker.account,
                deployment=self._deployment,
                ours=after.net,
                theirs=theirs,
                open_orders=open_orders,
                history=(*history, *looked_up),
                unsettled=_unsettled(before, after),
                known=await self._known(broker, orders),
                missing=await self._still_missing(broker, missing),
                accepted=await self._recovery.accepted(broker.name, broker.account),
            )
        )

    async def _working_at(self, broker: Broker) -> list[OrderIntent]:
        here = (broker.name, broker.account)
        working = await self._trading.working(WORKING_MAX)
        return [i for i in working if (i.order.broker, i.order.account) == here]

    async def _known(self, broker: Broker, orders: Sequence[OrderReport]) -> Sequence[KnownOrder]:
        numbers = {order.broker_order_id for order in orders}
        names = {order.client_order_id for order in orders if order.client_order_id}
        return await self._recovery.known(
            broker.name, broker.account, sorted(numbers), sorted(names)
        )

    async def _still_missing(
        self, broker: Broker, missing: Sequence[ClientOrderId]
    ) -> Sequence[KnownOrder]:
        if not missing:
            return ()
        return await self._recovery.known(broker.name, broker.account, (), missing)


async def _look_up(
    broker: Broker, working: Sequence[OrderIntent]
) -> tuple[list[OrderReport], list[ClientOrderId]]:
    """What the broker says of each of our working orders, and which it does not know."""
    reports: list[OrderReport] = []
    missing: list[ClientOrderId] = []
    for intent in working:
        match await broker.look_up(intent, ()):
            case Found(report=report):
                reports.append(replace(report, client_order_id=intent.client_order_id))
            case Absent():
                missing.append(intent.client_order_id)
    return reports, missing


def _unsettled(before: Holdings, after: Holdings) -> set[str]:
    moved = {s for s in {*before.net, *after.net} if before.net.get(s) != after.net.get(s)}
    return {*before.unsettled, *after.unsettled, *moved}


def _shout(finding: Finding) -> None:
    level = log.warning if finding.applied else log.critical if finding.blocks else log.error
    level(
        "reconciler.difference",
        kind=finding.kind.value,
        broker=finding.broker,
        symbol=finding.symbol,
        ours=finding.ours,
        theirs=finding.theirs,
        detail=finding.detail,
        applied=finding.applied,
        remedy=finding.remedy,
    )


def report_of(result: Reconciled) -> str:
    """The report as JSON text."""
    return json.dumps(
        {
            "clean": result.clean,
            "unreachable": list(result.unreachable),
            "findings": [
                {
                    "kind": finding.kind.value,
                    "broker": finding.broker,
                    "account": finding.account,
                    "symbol": finding.symbol,
                    "ours": finding.ours,
                    "theirs": finding.theirs,
                    "detail": finding.detail,
                    "broker_order_id": finding.broker_order_id,
                    "proposal": finding.proposal.value,
                    "applied": finding.applied,
                    "blocks": finding.blocks,
                    "remedy": finding.remedy,
                }
                for finding in result.findings
            ],
        }
    )
