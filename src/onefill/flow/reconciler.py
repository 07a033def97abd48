"""Our book and each broker's, compared; what differs is recorded, shouted, and shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from onefill.core.errors import OnefillError
from onefill.core.ids import Epoch
from onefill.core.reconcile import Books, Finding, compare
from onefill.ports.broker import Broker
from onefill.ports.recovery import RecoveryStore
from onefill.ports.trading import TradingStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What came of one comparison with all brokers. unreachable: brokers that did not answer."""

    findings: tuple[Finding, ...]
    unreachable: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether every broker answered and nothing differs."""
        return not self.findings and not self.unreachable

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Findings before which nothing new may be opened."""
        return tuple(finding for finding in self.findings if finding.blocks)


class Reconciler:
    """Compares with every broker, one after the other."""

    def __init__(
        self,
        *,
        trading: TradingStore,
        recovery: RecoveryStore,
        brokers: Sequence[Broker],
        deployment: str,
    ) -> None:
        self._trading = trading
        self._recovery = recovery
        self._brokers = brokers
        self._deployment = deployment

    async def run_once(self, epoch: Epoch | None, trigger: str) -> Reconciled:
        """Compare, record and log. Raises StoreUnavailable; a silent broker is only noted."""
        findings: list[Finding] = []
        unreachable: list[str] = []
        for broker in self._brokers:
            try:
                findings += await self._compare(broker)
            except OnefillError as error:
                log.warning("reconciler.broker_unreachable", broker=broker.name, error=str(error))
                unreachable.append(broker.name)
        result = Reconciled(findings=tuple(findings), unreachable=tuple(unreachable))
        await self._recovery.save_reconciliation(epoch, trigger, result.clean, report_of(result))
        for finding in findings:
            log.error(
                "reconciler.difference",
                kind=finding.kind.value,
                broker=finding.broker,
                symbol=finding.symbol,
                ours=finding.ours,
                theirs=finding.theirs,
                remedy=finding.remedy,
            )
        return result

    async def _compare(self, broker: Broker) -> tuple[Finding, ...]:
        # Ours is read before and after: what moved in between can't be compared this time.
        before = await self._recovery.holdings(broker.name, broker.account)
        theirs = await broker.positions()
        orders = await broker.open_orders()
        after = await self._recovery.holdings(broker.name, broker.account)
        explained = await self._trading.known_orders(
            broker.name, [order.broker_order_id for order in orders]
        )
        moved = {s for s in {*before.net, *after.net} if before.net.get(s) != after.net.get(s)}
        return compare(
            Books(
                broker=broker.name,
                deployment=self._deployment,
                ours=after.net,
                theirs=theirs,
                open_orders=orders,
                unsettled=before.unsettled | after.unsettled | moved,
                explained=set(explained),
            )
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
                    "symbol": finding.symbol,
                    "ours": finding.ours,
                    "theirs": finding.theirs,
                    "detail": finding.detail,
                    "remedy": finding.remedy,
                }
                for finding in result.findings
            ],
        }
    )
