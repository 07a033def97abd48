"""Our book against the broker's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, Side
from onefill.core.orders.reconcile import Books, Difference, Finding, KnownOrder, Proposal, compare
from onefill.core.orders.report import OrderReport, OrderStatus, Placed

S = IntentState

OURS = "ofabc" + "0" * 15


def books(**changes: object) -> Books:
    plain: dict[str, object] = {
        "broker": "binance",
        "account": "paper",
        "deployment": "abc",
        "ours": {},
        "theirs": {},
    }
    return Books(**{**plain, **changes})  # type: ignore[arg-type]


def order(
    number: str,
    client_order_id: str | None,
    status: OrderStatus = OrderStatus.OPEN,
    filled: int = 0,
) -> OrderReport:
    return OrderReport(
        broker_order_id=number,
        client_order_id=client_order_id,
        status=status,
        symbol="BTCUSDT",
        filled_quantity=Decimal(filled),
        filled_value=Decimal(filled) * 100,
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


def known(number: str | None, state: IntentState, filled: int = 0, asked: int = 5) -> KnownOrder:
    return KnownOrder(
        client_order_id=ClientOrderId(OURS),
        attempt=1,
        state=state,
        symbol="BTCUSDT",
        quantity=Decimal(asked),
        filled_quantity=Decimal(filled),
        broker_order_id=number,
    )


@pytest.mark.req("ORD-9")
def test_an_order_with_our_mark_that_no_intent_explains_blocks_until_it_is_accepted() -> None:
    others = (order("7", OURS), order("8", "by-hand"), order("9", OURS))
    accepted = frozenset({"9"})
    found = compare(books(open_orders=others, accepted=accepted))
    assert [(f.kind, f.blocks, f.proposal) for f in found] == [
        (Difference.UNKNOWN_OF_OURS, True, Proposal.ASK),
        (Difference.STRANGER, False, Proposal.ASK),
    ]
    assert all(f.remedy for f in found)


@pytest.mark.req("ORD-9")
def test_of_what_is_over_only_orders_with_our_mark_are_strange() -> None:
    done = (order("7", OURS, OrderStatus.FILLED, 5), order("8", "by-hand", OrderStatus.FILLED, 5))
    (found,) = compare(books(history=done))
    assert (found.kind, found.broker_order_id) == (Difference.UNKNOWN_OF_OURS, "7")


@pytest.mark.req("ORD-9")
def test_an_order_of_a_symbol_with_orders_under_way_may_still_find_its_intent() -> None:
    unsettled = frozenset({"BTCUSDT"})
    assert compare(books(open_orders=(order("7", OURS),), unsettled=unsettled)) == ()


@pytest.mark.req("ORD-9", "ORD-10")
@pytest.mark.parametrize(
    ("state", "filled", "status", "theirs", "kind"),
    [
        (S.ACKED, 0, OrderStatus.FILLED, 5, Difference.MISSED_FILL),
        (S.CANCELLED, 0, OrderStatus.FILLED, 5, Difference.MISSED_FILL),
        (S.NOT_PLACED, 0, OrderStatus.FILLED, 5, Difference.MISSED_FILL),
        (S.PARTIALLY_FILLED, 2, OrderStatus.PARTIALLY_FILLED, 3, Difference.PARTIAL_FILL),
        (S.ACKED, 0, OrderStatus.CANCELLED, 0, Difference.ENDED),
        (S.ACKED, 0, OrderStatus.OPEN, 0, None),
        (S.FILLED, 5, OrderStatus.FILLED, 5, None),
        (S.FILLED, 5, OrderStatus.OPEN, 0, None),
    ],
)
def test_what_the_broker_says_of_our_own_order_is_proposed_for_booking(
    state: IntentState, filled: int, status: OrderStatus, theirs: int, kind: Difference | None
) -> None:
    report = order("7", OURS, status, theirs)
    found = compare(books(history=(report,), known=(known("7", state, filled),)))
    assert [f.kind for f in found] == ([kind] if kind else [])
    for finding in found:
        assert finding.proposal is Proposal.BOOK
        assert finding.told is not None
        assert finding.told.word == Placed(report=report)


@pytest.mark.req("ORD-4", "ORD-9")
def test_a_second_order_for_one_intent_is_told_of_and_not_taken_for_a_stranger() -> None:
    report = order("8", OURS, OrderStatus.FILLED, 5)
    (found,) = compare(books(history=(report,), known=(known("7", S.FILLED, 5),)))
    assert (found.kind, found.proposal) == (Difference.SECOND_ORDER, Proposal.BOOK)


@pytest.mark.req("ORD-9")
def test_an_order_of_ours_that_the_broker_does_not_know_is_an_orphan() -> None:
    (found,) = compare(books(missing=(known("7", S.ACKED),)))
    assert (found.kind, found.proposal, found.blocks) == (Difference.ORPHAN, Proposal.ASK, False)


def traded(number: str, side: Side, filled: int, price: int, **more: object) -> OrderReport:
    """An order by hand, as the broker lists it."""
    value = Decimal(filled * price)
    return replace(
        order(number, None, OrderStatus.FILLED, filled), side=side, filled_value=value, **more
    )


def difference(ours: int, theirs: int, *history: OrderReport, **more: object) -> Finding:
    both = {"ours": {"BTCUSDT": Decimal(ours)}, "theirs": {"BTCUSDT": Decimal(theirs)}}
    (found,) = compare(books(**both, history=history, **more))
    return found


@pytest.mark.req("ORD-9")
def test_what_orders_by_hand_explain_is_proposed_at_their_price() -> None:
    sold = [traded("98", Side.SELL, 1, 90), traded("101", Side.SELL, 2, 120)]
    found = difference(5, 2, *reversed(sold))
    assert found.proposal is Proposal.ADJUST
    assert found.held is not None
    assert (found.held.price, found.held.orders) == (Decimal(110), ("98", "101"))
    assert "by hand: order 98, 101, at 110" in found.detail


@pytest.mark.req("ORD-9")
@pytest.mark.parametrize(
    "history",
    [
        (),
        (traded("98", Side.SELL, 2, 90),),  # not all of it
        (traded("98", Side.SELL, 4, 90),),  # more than it
        (traded("98", Side.BUY, 3, 90),),  # the other way
        (traded("98", Side.SELL, 3, 90), traded("99", Side.BUY, 1, 90)),  # something came after
        (traded("98", Side.SELL, 3, 0),),  # at no price
        (traded("7", Side.SELL, 3, 90),),  # a person looked at it already
        (replace(traded("98", Side.SELL, 3, 90), side=None),),
        (traded("98", Side.SELL, 3, 90, client_order_id=OURS),),  # ours, and lost: not by hand
        (replace(traded("98", Side.SELL, 3, 90), symbol="ETHUSDT"),),
    ],
)
def test_what_no_orders_explain_to_the_unit_waits_for_a_persons_price(
    history: tuple[OrderReport, ...],
) -> None:
    both = {"ours": {"BTCUSDT": Decimal(5)}, "theirs": {"BTCUSDT": Decimal(2)}}
    found, *_ = compare(books(**both, history=history, accepted=frozenset({"7"})))
    assert found.proposal is Proposal.ADJUST
    assert found.held is not None
    assert (found.held.price, found.held.orders) == (None, ())
    assert found.detail == "no order there explains it"
    assert "--price binance/paper/BTCUSDT=" in found.remedy


@pytest.mark.req("ORD-9")
def test_our_own_orders_explain_nothing_by_hand() -> None:
    mine = known("98", S.FILLED, 3, 3)
    found = difference(5, 2, traded("98", Side.SELL, 3, 90), known=(mine,))
    assert found.held is not None
    assert found.held.price is None


@pytest.mark.req("ORD-9")
def test_what_we_hold_none_of_is_others() -> None:
    found = difference(0, 4, traded("98", Side.BUY, 4, 90))
    assert (found.proposal, found.held) == (Proposal.ASK, None)
    assert "somebody else" in found.remedy


@pytest.mark.req("ORD-9", "ORD-12")
def test_an_order_of_another_symbol_with_the_same_number_is_not_ours() -> None:
    mine = known("7", S.PARTIALLY_FILLED, 1)
    other = replace(order("7", None, OrderStatus.FILLED, 5), symbol="ETHUSDT")
    assert compare(books(known=(mine,), history=(other,))) == ()
    both = (other, replace(order("7", OURS), filled_quantity=Decimal(1)))
    (found,) = compare(books(known=(mine,), history=both, open_orders=(other,)))
    assert (found.kind, found.symbol) == (Difference.STRANGER, "ETHUSDT")
    held = {"ETHUSDT": Decimal(1)}, {"ETHUSDT": Decimal(6)}
    by_hand = replace(other, side=Side.BUY)
    (found,) = compare(books(ours=held[0], theirs=held[1], known=(mine,), history=(by_hand,)))
    assert found.held is not None
    assert found.held.orders == ("7",)
