"""Our book against the broker's: what differs, and what to do about it. Source: ORD-9."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from onefill.core.ids import ClientOrderId, is_ours
from onefill.core.intent import AT_BROKER, IntentState, Side
from onefill.core.money import ZERO, plain
from onefill.core.orders.hearing import Told
from onefill.core.orders.report import OrderReport, OrderStatus, Placed


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
    ADJUST = "adjust"  # what was traded by hand, booked to our positions at its price
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
    Difference.QUANTITY: "Look at the broker's trades, then book it at what was paid or got: "
    "`onefill reconcile --price {name}=…`. Until then an exit may find nothing to sell.",
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


BY_HAND = (
    "Somebody traded it by hand: book that with `onefill reconcile --apply`. Until then an exit "
    "may find nothing to sell."
)
OTHERS = (
    "We hold none of it: somebody else bought it, or an order of ours is missing here (was the "
    "database restored?). Trade it flat by hand if it is not meant."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unequal:
    """Both net quantities of a symbol that we hold. price, orders: of the newest orders by hand
    that explain the difference to the unit; None where none do."""

    ours: Decimal
    theirs: Decimal
    price: Decimal | None = None
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. ours and theirs are quantities (signed) or states, as plain text.

    told: the word to book, where the proposal is to book it. applied: it was booked.
    held: both quantities, and what explains their difference, where that can be adjusted.
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
    held: Unequal | None = None

    @property
    def blocks(self) -> bool:
        """Whether nothing new may be opened before a person looked."""
        return self.kind is Difference.UNKNOWN_OF_OURS

    @property
    def proposal(self) -> Proposal:
        """What would settle it."""
        if self.held is not None:
            return Proposal.ADJUST
        return Proposal.BOOK if self.kind in _BOOKED else Proposal.ASK

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        if self.applied:
            return "Nothing: it is booked."
        if self.kind is not Difference.QUANTITY:
            return REMEDIES[self.kind]
        if self.held is None:
            return OTHERS
        if self.held.price is not None:
            return BY_HAND
        return REMEDIES[self.kind].format(name=f"{self.broker}/{self.account}/{self.symbol}")


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
            held = _explained(books, symbol, ours, theirs) if ours != 0 else None
            found = _finding(books, Difference.QUANTITY, symbol, plain(ours), plain(theirs))
            yield replace(found, held=held, detail=_explanation(held))


def _explained(books: Books, symbol: str, ours: Decimal, theirs: Decimal) -> Unequal:
    """The newest orders by hand, all of one side, that add up to the difference."""
    unequal = Unequal(ours=ours, theirs=theirs)
    wanted = abs(theirs - ours)
    side = Side.BUY if theirs > ours else Side.SELL
    quantity = value = ZERO
    numbers: list[str] = []
    for report in reversed(_by_hand(books, symbol)):
        if report.side is not side:
            break
        quantity, value = quantity + report.filled_quantity, value + report.filled_value
        numbers.append(report.broker_order_id)
        if quantity == wanted and value > 0:
            return replace(unequal, price=value / quantity, orders=tuple(reversed(numbers)))
    return unequal


def _by_hand(books: Books, symbol: str) -> list[OrderReport]:
    """What others traded of the symbol, oldest first, without what a person looked at already."""
    ours = {order.broker_order_id for order in books.known if order.symbol == symbol}
    names = {str(order.client_order_id) for order in books.known}
    theirs = {
        report.broker_order_id: report
        for report in books.history
        if report.symbol == symbol
        and report.filled_quantity > 0
        and report.broker_order_id not in books.accepted | ours
        and report.client_order_id not in names
        and not is_ours(report.client_order_id or "", books.deployment)
    }
    return sorted(theirs.values(), key=_age)


def _age(report: OrderReport) -> tuple[int, str]:
    """Brokers count their orders up: the longer number is the newer one."""
    return len(report.broker_order_id), report.broker_order_id


def _explanation(held: Unequal | None) -> str:
    if held is None:
        return ""
    if held.price is None:
        return "no order there explains it"
    return f"by hand: order {', '.join(held.orders)}, at {plain(round(held.price, 8))}"


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
    # Some brokers count their orders in each symbol anew: a number alone names none.
    by_number = {(o.symbol, o.broker_order_id): o for o in books.known if o.broker_order_id}
    by_name = {str(order.client_order_id): order for order in books.known}
    working = {_place_of(order) for order in books.open_orders}
    seen = {_place_of(order): order for order in (*books.open_orders, *books.history)}
    for place, report in seen.items():
        known = by_number.get(place) or by_name.get(report.client_order_id or "")
        is_accepted = report.broker_order_id in books.accepted
        if known is not None:
            yield from _ours(books, known, report)
        elif not is_accepted and report.symbol not in books.unsettled:
            yield from _unexplained(books, report, works=place in working)


def _place_of(report: OrderReport) -> tuple[str, str]:
    return report.symbol, report.broker_order_id


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
