"""Our book against the broker's: what differs, and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.ids import is_ours
from onefill.core.money import ZERO, plain
from onefill.core.report import OrderReport


class Difference(enum.StrEnum):
    """Kinds of differences (ORD-9), with what a person should do."""

    QUANTITY = "quantity"
    UNKNOWN_OF_OURS = "unknown_of_ours"
    STRANGER = "stranger"


REMEDIES: Mapping[Difference, str] = {
    Difference.QUANTITY: "Compare the fills with the broker's trade book; close or adopt the rest.",
    Difference.UNKNOWN_OF_OURS: "An order carries our mark but no intent explains it: was the "
    "database restored? Look at the order at the broker before trading goes on.",
    Difference.STRANGER: "An order placed by hand or by another program; nothing to do if meant.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. ours and theirs are quantities, signed, as plain text."""

    kind: Difference
    broker: str
    symbol: str
    ours: str
    theirs: str
    detail: str = ""

    @property
    def blocks(self) -> bool:
        """Whether nothing new may be opened before a person looked."""
        return self.kind is Difference.UNKNOWN_OF_OURS

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Both sides at one moment. ours, theirs: net quantity by symbol. unsettled: symbols with
    orders under way, which can't be compared yet. explained: broker order ids of our intents."""

    broker: str
    deployment: str
    ours: Mapping[str, Decimal]
    theirs: Mapping[str, Decimal]
    open_orders: Sequence[OrderReport]
    unsettled: AbstractSet[str]
    explained: AbstractSet[str]


def compare(books: Books) -> tuple[Finding, ...]:
    """All differences, quantities first. Source: ORD-9."""
    return (*_quantities(books), *_orders(books))


def _quantities(books: Books) -> list[Finding]:
    return [
        Finding(
            kind=Difference.QUANTITY,
            broker=books.broker,
            symbol=symbol,
            ours=plain(books.ours.get(symbol, ZERO)),
            theirs=plain(books.theirs.get(symbol, ZERO)),
        )
        for symbol in sorted({*books.ours, *books.theirs} - books.unsettled)
        if books.ours.get(symbol, ZERO) != books.theirs.get(symbol, ZERO)
    ]


def _orders(books: Books) -> list[Finding]:
    findings = []
    for order in books.open_orders:
        if order.broker_order_id in books.explained or order.symbol in books.unsettled:
            continue
        marked = is_ours(order.client_order_id or "", books.deployment)
        findings.append(
            Finding(
                kind=Difference.UNKNOWN_OF_OURS if marked else Difference.STRANGER,
                broker=books.broker,
                symbol=order.symbol,
                ours="0",
                theirs=order.status.value,
                detail=f"order {order.broker_order_id} ({order.client_order_id or 'no client id'})",
            )
        )
    return findings
