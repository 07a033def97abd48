"""Our book and each broker's, compared; what differs is recorded, shouted, and shown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import structlog

from onefill.core.errors import OnefillError
from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import OrderIntent
from onefill.core.money import plain
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, Held
from onefill.core.orders.reconcile import Books, Difference, Finding, KnownOrder, Proposal, compare
from onefill.core.orders.report import Absent, Found, OrderReport
from onefill.core.orders.settlement import Told
from onefill.ports.broker import Broker
from onefill.ports.recovery import Holdings, RecoveryStore
from onefill.ports.trading import Settled, TradingStore
from onefill.ports.views import Actor, ReconcileWish

WORKING_MAX = 1024
POLICY = Actor(name="reconciliation", address=None)
NO_WISH = ReconcileWish()

Adjust = Callable[[Adjustment, Actor], Awaitable[Settled | AdjustmentRefusal]]

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
    adjust: books what was traded by hand. adjusts: whether it is done without asking, where orders
    at the broker explain it to the unit.
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
        adjust: Adjust,
        adjusts: bool = False,
    ) -> None:
        self._adjust = adjust
        self._adjusts = adjusts
        self._trading = trading
        self._recovery = recovery
        self._brokers = brokers
        self._deployment = deployment
        self._tell = tell
        self._books_evidence = books_evidence

    async def run_once(
        self, epoch: Epoch | None, trigger: str, wish: ReconcileWish = NO_WISH
    ) -> Reconciled:
        """Compare, settle, record and log. Raises StoreUnavailable; a silent broker is noted.

        wish: what a person wants booked, whatever the policy is.
        """
        findings: list[Finding] = []
        unreachable: list[str] = []
        for broker in self._brokers:
            try:
                findings += await self._seen_twice(broker)
            except OnefillError as error:
                log.warning("reconciler.broker_unreachable", broker=broker.name, error=str(error))
                unreachable.append(broker.name)
        settled = [self._settle(finding, apply=wish.apply) for finding in findings]
        settled = await self._adjusted(settled, wish)
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

    async def _adjusted(self, findings: list[Finding], wish: ReconcileWish) -> list[Finding]:
        """Book what was traded by hand: an account at a time, since legs belong together."""
        priced = {place: each for place, each in enumerate(findings) if self._price(each, wish)}
        accounts = {(each.broker, each.account) for each in priced.values()}
        for broker, account in sorted(accounts):
            mine = {p: f for p, f in priced.items() if (f.broker, f.account) == (broker, account)}
            wanted = Adjustment(
                broker=broker,
                account=account,
                deployment=self._deployment,
                holdings=tuple(_held(each, self._price(each, wish)) for each in mine.values()),
                note=wish.note or "the broker's books",
            )
            result = await self._adjust(wanted, wish.by or POLICY)
            for place, each in mine.items():
                findings[place] = _after(each, result)
        return findings

    def _price(self, finding: Finding, wish: ReconcileWish) -> Decimal | None:
        """What to book the difference at, where it is to be booked; a person's word comes first."""
        if finding.held is None:
            return None
        said = wish.prices.get((finding.broker, finding.account, finding.symbol))
        if said is not None:
            return said
        return finding.held.price if wish.apply or self._adjusts else None

    async def _seen_twice(self, broker: Broker) -> tuple[Finding, ...]:
        """What differs; quantities only where a second comparison finds the same.

        Who is paused long between two readings may hold what was traded, and traded back, against
        what is held now: our book looks as if it had not moved.
        """
        first = await self._compare(broker)
        seen = {_quantities_of(each) for each in first if each.kind is Difference.QUANTITY}
        if not seen:
            return first
        again = await self._compare(broker)
        return tuple(
            each
            for each in again
            if each.kind is not Difference.QUANTITY or _quantities_of(each) in seen
        )

    async def _compare(self, broker: Broker) -> tuple[Finding, ...]:
        # Ours is read before and after: what moved in between can't be compared this time.
        before = await self._recovery.holdings(broker.name, broker.account)
        working, is_all = await self._working_at(broker)
        theirs = await broker.positions()
        open_orders = await broker.open_orders()
        resting = {intent.order.symbol for intent in working}
        symbols = {*before.net, *theirs, *before.unsettled, *before.recent, *resting}
        history = await broker.history(symbols)
        looked_up, missing = await _look_up(broker, working)
        after = await self._recovery.holdings(broker.name, broker.account)
        still_working, _ = await self._working_at(broker)
        unsettled = _unsettled(before, after) | _uneven((*working, *still_working), looked_up)
        if not is_all:  # what was not looked up may have filled
            unsettled |= symbols
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
                unsettled=unsettled,
                known=await self._known(broker, orders),
                missing=await self._still_missing(broker, missing),
                accepted=await self._recovery.accepted(broker.name, broker.account),
            )
        )

    async def _working_at(self, broker: Broker) -> tuple[list[OrderIntent], bool]:
        """What works there, and whether that is all of it."""
        here = (broker.name, broker.account)
        working = await self._trading.working(WORKING_MAX)
        mine = [i for i in working if (i.order.broker, i.order.account) == here]
        return mine, len(working) < WORKING_MAX

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


def _held(finding: Finding, price: Decimal | None) -> Held:
    assert finding.held is not None
    assert price is not None
    held = finding.held
    return Held(
        symbol=finding.symbol,
        ours=held.ours,
        theirs=held.theirs,
        price=price,
        orders=held.orders,
    )


def _after(finding: Finding, result: Settled | AdjustmentRefusal) -> Finding:
    if isinstance(result, AdjustmentRefusal):
        return replace(finding, detail=f"{finding.detail}; not booked: {result.value}")
    for alarm in result.alarms:
        log.critical("reconciler.alarm", alarm=alarm)
    return replace(finding, applied=True)


def _quantities_of(finding: Finding) -> tuple[str, str, str]:
    return finding.symbol, finding.ours, finding.theirs


def _unsettled(before: Holdings, after: Holdings) -> set[str]:
    moved = {s for s in {*before.net, *after.net} if before.net.get(s) != after.net.get(s)}
    return {*before.unsettled, *after.unsettled, *moved}


def _uneven(working: Sequence[OrderIntent], reports: Sequence[OrderReport]) -> set[str]:
    """Symbols of working orders that may have filled more, or less, than both sides know of."""
    filled = {report.client_order_id: report.filled_quantity for report in reports}
    return {
        intent.order.symbol
        for intent in working
        if filled.get(intent.client_order_id) != intent.filled_quantity
    }


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


def _text(price: Decimal | None) -> str | None:
    return None if price is None else plain(price)


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
                    "price": _text(finding.held.price) if finding.held is not None else None,
                    "applied": finding.applied,
                    "blocks": finding.blocks,
                    "remedy": finding.remedy,
                }
                for finding in result.findings
            ],
        }
    )
