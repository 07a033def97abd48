"""Our book against the broker's: what differs, and what to do about it. Source: ORD-9."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.hearing import Told
from onefill.core.ids import ClientOrderId, is_ours
from onefill.core.intent import AT_BROKER, IntentState
from onefill.core.money import ZERO, plain
from onefill.core.report import OrderReport, OrderStatus, Placed


class Difference(enum.StrEnum):
    """Kinds of differences."""

    QUANTITY = "quantity"
    MISSED_FILL = "missed_fill"
    PARTIAL_FILL = "partial_fill"
    ENDED = "ended"
    SECOND_ORDER = "second_order"
    ORPHAN = "orphan"
    UNKNOWN_OF_OURS = "unknown_of_ours"
    STRANGER = "stranger"


class Proposal(enum.StrEnum):
    """What would settle a difference."""

    BOOK = "book"  # the broker's word on our own order: evidence, which wins anyway
    ASK = "ask"  # a person must look


_BOOKED = frozenset(
    {
        Difference.MISSED_FILL,
        Difference.PARTIAL_FILL,
        Difference.ENDED,
        Difference.SECOND_ORDER,
    }
)
REMEDIES: Mapping[Difference, str] = {
    Difference.QUANTITY: "Compare the fills with the broker's trade book; close or keep the rest "
    "by hand.",
    Difference.MISSED_FILL: "Nothing to do once it is booked.",
    Difference.PARTIAL_FILL: "Nothing to do once it is booked.",
    Difference.ENDED: "Nothing to do once it is booked.",
    Difference.SECOND_ORDER: "Two orders at the broker for one intent: settle the second one "
    "there, then unblock the lane.",
    Difference.ORPHAN: "The broker does not know this order of ours: look at its own records.",
    Difference.UNKNOWN_OF_OURS: "An order carries our mark but no intent explains it: was the "
    "database restored? Look at it at the broker, then `onefill reconcile --accept` it.",
    Difference.STRANGER: "An order placed by hand or by another program; nothing to do if meant.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. ours and theirs are quantities (signed) or states, as plain text.

    told: the word to book, where the proposal is to book it. applied: it was booked.
    """

    kind: Difference
    broker: str
    account: str
    symbol: str
    ours: str
    theirs: str
    detail: str = ""
    broker_order_id: str | None = None
    told: Told | None = None
    applied: bool = False

    @property
    def blocks(self) -> bool:
        """Whether nothing new may be opened before a person looked."""
        return self.kind is Difference.UNKNOWN_OF_OURS

    @property
    def proposal(self) -> Proposal:
        """What would settle it."""
        return Proposal.BOOK if self.kind in _BOOKED else Proposal.ASK

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrder:
    """An intent of ours as far as the broker's lists can be held against it."""

    client_order_id: ClientOrderId
    attempt: int
    state: IntentState
    symbol: str
    quantity: Decimal
    filled_quantity: Decimal
    broker_order_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Both sides at one moment. ours, theirs: net quantity by symbol.

    open_orders: what works at the broker; history: what it still lists besides. unsettled:
    symbols with orders under way, whose nets can't be compared yet. known: our intents that those
    orders name, read after them. missing: working intents that the broker does not know.
    accepted: broker order ids that a person has looked at.
    """

    broker: str
    account: str
    deployment: str
    ours: Mapping[str, Decimal]
    theirs: Mapping[str, Decimal]
    open_orders: Sequence[OrderReport] = ()
    history: Sequence[OrderReport] = ()
    unsettled: AbstractSet[str] = frozenset()
    known: Sequence[KnownOrder] = ()
    missing: Sequence[KnownOrder] = ()
    accepted: AbstractSet[str] = frozenset()


def compare(books: Books) -> tuple[Finding, ...]:
    """All differences: quantities, then our orders, then others'."""
    return (*_quantities(books), *_orphans(books), *_orders(books))


def _quantities(books: Books) -> Iterator[Finding]:
    for symbol in sorted({*books.ours, *books.theirs} - books.unsettled):
        ours, theirs = books.ours.get(symbol, ZERO), books.theirs.get(symbol, ZERO)
        if ours != theirs:
            yield _finding(books, Difference.QUANTITY, symbol, plain(ours), plain(theirs))


def _orphans(books: Books) -> Iterator[Finding]:
    for order in books.missing:
        yield _finding(
            books,
            Difference.ORPHAN,
            order.symbol,
            order.state.value,
            "unknown",
            detail=f"order {order.broker_order_id} ({order.client_order_id})",
            broker_order_id=order.broker_order_id,
        )


def _orders(books: Books) -> Iterator[Finding]:
    by_number = {o.broker_order_id: o for o in books.known if o.broker_order_id is not None}
    by_name = {str(order.client_order_id): order for order in books.known}
    working = {order.broker_order_id for order in books.open_orders}
    seen = {order.broker_order_id: order for order in (*books.open_orders, *books.history)}
    for number, report in seen.items():
        known = by_number.get(number) or by_name.get(report.client_order_id or "")
        if known is not None:
            yield from _ours(books, known, report)
        elif number not in books.accepted and report.symbol not in books.unsettled:
            yield from _unexplained(books, report, works=number in working)


def _ours(books: Books, known: KnownOrder, report: OrderReport) -> Iterator[Finding]:
    """What the broker says of an order of ours beyond what we have booked."""
    kind = _kind(known, report)
    if kind is None:
        return
    yield _finding(
        books,
        kind,
        known.symbol,
        f"{known.state.value} {plain(known.filled_quantity)}",
        f"{report.status.value} {plain(report.filled_quantity)}",
        detail=f"order {report.broker_order_id} ({known.client_order_id})",
        broker_order_id=report.broker_order_id,
        told=Told(
            client_order_id=known.client_order_id,
            attempt=known.attempt,
            word=Placed(report=report),
        ),
    )


def _kind(known: KnownOrder, report: OrderReport) -> Difference | None:
    if known.broker_order_id not in (None, report.broker_order_id):
        is_dead = report.filled_quantity == 0 and report.status in _OVER
        return None if is_dead else Difference.SECOND_ORDER
    if report.filled_quantity > known.filled_quantity:
        whole = report.filled_quantity >= known.quantity
        return Difference.MISSED_FILL if whole else Difference.PARTIAL_FILL
    if known.state in AT_BROKER and report.status in _OVER:
        return Difference.ENDED
    return None


_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.REJECTED})


def _unexplained(books: Books, report: OrderReport, *, works: bool) -> Iterator[Finding]:
    marked = is_ours(report.client_order_id or "", books.deployment)
    if marked or works:
        yield _finding(
            books,
            Difference.UNKNOWN_OF_OURS if marked else Difference.STRANGER,
            report.symbol,
            "0",
            f"{report.status.value} {plain(report.filled_quantity)}",
            detail=f"order {report.broker_order_id} ({report.client_order_id or 'no client id'})",
            broker_order_id=report.broker_order_id,
        )


def _finding(
    books: Books,
    kind: Difference,
    symbol: str,
    ours: str,
    theirs: str,
    *,
    detail: str = "",
    broker_order_id: str | None = None,
    told: Told | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        broker=books.broker,
        account=books.account,
        symbol=symbol,
        ours=ours,
        theirs=theirs,
        detail=detail,
        broker_order_id=broker_order_id,
        told=told,
    )
