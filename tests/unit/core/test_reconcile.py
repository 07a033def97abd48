"""Our book against the broker's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from onefill.core.reconcile import Books, Difference, compare
from onefill.core.report import OrderReport, OrderStatus

OURS = "ofabc" + "0" * 15


def books(**changes: object) -> Books:
    plain: dict[str, object] = {
        "broker": "binance",
        "deployment": "abc",
        "ours": {},
        "theirs": {},
        "open_orders": (),
        "unsettled": frozenset(),
        "explained": frozenset(),
    }
    return Books(**{**plain, **changes})  # type: ignore[arg-type]


def order(broker_order_id: str, client_order_id: str | None) -> OrderReport:
    return OrderReport(
        broker_order_id=broker_order_id,
        client_order_id=client_order_id,
        status=OrderStatus.OPEN,
        symbol="BTCUSDT",
    )


@pytest.mark.req("ORD-9")
def test_equal_books_differ_in_nothing() -> None:
    both = {"BTCUSDT": Decimal("1.50")}
    assert compare(books(ours=both, theirs={"BTCUSDT": Decimal("1.5")})) == ()


@pytest.mark.req("ORD-9")
def test_each_quantity_that_differs_is_found_whichever_side_lacks_it() -> None:
    ours = {"A": Decimal(1), "B": Decimal(2)}
    theirs = {"B": Decimal(3), "C": Decimal(-4)}
    found = compare(books(ours=ours, theirs=theirs))
    assert [(f.symbol, f.ours, f.theirs) for f in found] == [
        ("A", "1", "0"),
        ("B", "2", "3"),
        ("C", "0", "-4"),
    ]
    assert not any(f.blocks for f in found)


@pytest.mark.req("ORD-9")
def test_a_symbol_with_orders_under_way_is_left_for_later() -> None:
    assert compare(books(ours={"A": Decimal(1)}, unsettled=frozenset({"A"}))) == ()


@pytest.mark.req("ORD-9")
def test_an_order_with_our_mark_that_no_intent_explains_blocks() -> None:
    found = compare(
        books(
            open_orders=(order("7", OURS), order("8", "by-hand"), order("9", OURS)),
            explained=frozenset({"9"}),
        )
    )
    assert [(f.kind, f.blocks) for f in found] == [
        (Difference.UNKNOWN_OF_OURS, True),
        (Difference.STRANGER, False),
    ]
    assert all(f.remedy for f in found)
