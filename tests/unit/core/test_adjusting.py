"""What was traded by hand, booked to our positions as executions of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import NOW, d
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.intent import IntentState, OrderIntent, OrderRequest, OrderType, Side
from onefill.core.invariants import violations
from onefill.core.issue import CLOSE, STOP
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, Correction, Held, adjust
from onefill.core.orders.hearing import Fill, Told
from onefill.core.orders.protection import BY_HAND
from onefill.core.orders.report import OrderReport, OrderStatus, Placed
from onefill.core.orders.settlement import LaneBooks, Settlement, settle
from onefill.core.position import Leg, Position, PositionStatus

GOLD, LOT = "GOLDM05JAN30FUT", 100
LANE = Lane("main/GOLD_MINI")
S = IntentState


def leg(net: int, symbol: str = GOLD, side: Side = Side.BUY, name: str = "fut") -> Leg:
    traded = {"bought_quantity": d(net), "bought_value": d(net * 10)} if net > 0 else {}
    if net < 0:
        traded = {"sold_quantity": d(-net), "sold_value": d(-net * 10)}
    return Leg(
        name=name,
        broker="openalgo",
        account="paper",
        symbol=symbol,
        exchange="MCX",
        side=side,
        quantity=d(abs(net)),
        **traded,
    )


def position(number: int, *legs: Leg, slot: str | None = None, **more: object) -> Position:
    plain: dict[str, object] = {
        "id": PositionId(f"p{number}"),
        "portfolio": "main",
        "instrument": "GOLD_MINI",
        "slot": slot or f"Long_{number}",
        "status": PositionStatus.OPEN,
        "legs": legs,
        "opened_at": NOW + timedelta(minutes=number),
        "lots": int(abs(legs[0].net)) // LOT,
        "units_per_lot": LOT,
        "version": 3,
    }
    return Position(**{**plain, **more})  # type: ignore[arg-type]


def entry(place: Position, held: Leg) -> OrderIntent:
    """The order that opened this leg."""
    return order(place, held, "open", state=S.FILLED, side=held.side, quantity=abs(held.net))


def order(place: Position, held: Leg, action: str, **more: object) -> OrderIntent:
    wish: dict[str, object] = {"side": Side.SELL, "quantity": held.quantity, **more}
    state = wish.pop("state", S.NEW)
    is_filled = state is S.FILLED
    request = OrderRequest(
        broker=held.broker,
        account=held.account,
        symbol=held.symbol,
        **wish,  # type: ignore[arg-type]
    )
    return OrderIntent(
        client_order_id=ClientOrderId(f"of{action}{place.id}{held.name}"),
        lane=place.lane,
        portfolio="main",
        instrument="GOLD_MINI",
        source=f"{action}-{place.id}",
        leg=held.name,
        action=action,
        n=1,
        order=request,
        adds_exposure=action == "open",
        position_id=place.id,
        state=state,  # type: ignore[arg-type]
        filled_quantity=request.quantity if is_filled else d(0),
        filled_value=request.quantity * 10 if is_filled else d(0),
    )


def wanted(*held: Held) -> Adjustment:
    return Adjustment(
        broker="openalgo", account="paper", deployment="tst", holdings=held, note="phoned"
    )


def gold(ours: int, theirs: int, price: int = 12) -> Held:
    return Held(symbol=GOLD, ours=d(ours), theirs=d(theirs), price=d(price), orders=("17",))


def corrected(
    found: tuple[Correction, ...] | AdjustmentRefusal,
    positions: list[Position],
    live: list[OrderIntent] | None = None,
) -> Settlement:
    """What settling these corrections makes of the lane."""
    assert not isinstance(found, AdjustmentRefusal), found
    intents = (*(live or ()), *(each.intent for each in found))
    books = LaneBooks(now=NOW, intents=intents, positions=tuple(positions))
    return settle(books, [each.told for each in found])


@pytest.mark.req("ORD-9")
def test_a_position_closed_by_hand_is_closed_at_what_it_was_sold_for() -> None:
    mine = position(1, leg(200))
    after = corrected(adjust(wanted(gold(200, 0)), [mine], []), [mine])
    (closed,) = after.positions
    assert (closed.status, closed.reason, closed.realised) == (
        PositionStatus.CLOSED,
        BY_HAND,
        200 * (12 - 10),
    )
    (fill,) = after.fills
    assert (fill.quantity, fill.value) == (200, 2400)
    (intent,) = after.intents
    assert (intent.source, intent.action, intent.state) == (mine.id, "adjust", S.FILLED)
    assert after.block is None


@pytest.mark.req("ORD-9")
def test_a_part_sold_by_hand_leaves_the_rest_open_and_takes_the_newest_first() -> None:
    first, second = position(1, leg(200)), position(2, leg(300))
    after = corrected(adjust(wanted(gold(500, 100)), [first, second], []), [first, second])
    stand = {p.id: (p.status, p.legs[0].net, p.lots) for p in after.positions}
    assert stand == {
        "p1": (PositionStatus.OPEN, 100, 1),
        "p2": (PositionStatus.CLOSED, 0, 3),
    }


@pytest.mark.req("ORD-9")
def test_both_legs_closed_by_hand_are_booked_together_and_nothing_is_repaired() -> None:
    call = leg(30, "CE", name="ce")
    put = replace(leg(-30, "PE", Side.SELL, name="pe"), quantity=d(30))
    mine = position(1, call, put, units_per_lot=30, lots=1)
    both = wanted(
        Held(symbol="CE", ours=d(30), theirs=d(0), price=d(11)),
        Held(symbol="PE", ours=d(-30), theirs=d(0), price=d(9)),
    )
    after = corrected(adjust(both, [mine], []), [mine])
    (closed,) = after.positions
    assert (closed.status, closed.realised) == (PositionStatus.CLOSED, 30 + 30)


@pytest.mark.req("ORD-9")
def test_what_was_bought_by_hand_is_a_net_positions_own_and_no_lots() -> None:
    net = position(1, replace(leg(3), quantity=d(3)), slot="Net", lots=0, units_per_lot=1)
    after = corrected(adjust(wanted(gold(3, 5)), [net], []), [net])
    assert after.positions[0].legs[0].net == 5
    turned = corrected(adjust(wanted(gold(3, -2)), [net], []), [net])
    assert (turned.positions[0].legs[0].net, turned.positions[0].status) == (
        -2,
        PositionStatus.OPEN,
    )
    lots = position(1, leg(200))
    assert adjust(wanted(gold(200, 300)), [lots], []) is AdjustmentRefusal.NOT_OURS
    assert adjust(wanted(gold(0, 300)), [], []) is AdjustmentRefusal.NOT_OURS


@pytest.mark.req("ORD-9")
def test_beyond_flat_nothing_is_ours() -> None:
    mine = position(1, leg(200))
    after = corrected(adjust(wanted(gold(200, -100)), [mine], []), [mine])
    assert after.positions[0].status is PositionStatus.CLOSED
    assert after.fills[0].quantity == 200


@pytest.mark.req("ORD-9")
def test_a_book_that_has_moved_since_is_not_adjusted() -> None:
    assert adjust(wanted(gold(200, 0)), [position(1, leg(300))], []) is AdjustmentRefusal.MOVED


@pytest.mark.req("ORD-9", "ORD-8")
@pytest.mark.parametrize("state", [S.SENDING, S.IN_DOUBT, S.QUARANTINED])
def test_while_an_order_of_it_is_in_doubt_nothing_is_adjusted(state: IntentState) -> None:
    mine = position(1, leg(200))
    doubtful = order(mine, mine.legs[0], CLOSE, state=state)
    found = adjust(wanted(gold(200, 0)), [mine], [doubtful])
    assert found is AdjustmentRefusal.UNDER_WAY


@pytest.mark.req("ORD-9", "PF-12")
def test_an_exit_that_waits_to_be_sent_never_sells_what_is_not_there_any_more() -> None:
    mine = position(1, leg(200), status=PositionStatus.CLOSING, exits=1)
    waiting = order(mine, mine.legs[0], CLOSE, reduce_only=True)
    all_gone = corrected(adjust(wanted(gold(200, 0)), [mine], [waiting]), [mine], [waiting])
    assert {i.action: i.state for i in all_gone.intents}[CLOSE] is S.EXPIRED
    assert all_gone.positions[0].status is PositionStatus.CLOSED
    a_part = corrected(adjust(wanted(gold(200, 100)), [mine], [waiting]), [mine], [waiting])
    assert {i.action: i.state for i in a_part.intents}[CLOSE] is S.EXPIRED
    assert a_part.positions[0].status is PositionStatus.CLOSING  # a new exit is issued for the rest


@pytest.mark.req("ORD-9", "ORD-15")
def test_slices_of_an_exit_together_never_sell_more_than_is_left() -> None:
    mine = position(1, leg(200), status=PositionStatus.CLOSING, exits=1)
    slices = [
        replace(
            order(mine, mine.legs[0], CLOSE, quantity=d(100), reduce_only=True),
            client_order_id=ClientOrderId(f"slice{n}"),
            n=n,
        )
        for n in (1, 2)
    ]
    after = corrected(adjust(wanted(gold(200, 100)), [mine], slices), [mine], slices)
    states = [i.state for i in after.intents if i.action == CLOSE]
    assert states == [S.EXPIRED]


@pytest.mark.req("ORD-9", "PF-11")
def test_a_stop_that_waits_for_what_was_closed_by_hand_keeps_the_position_until_it_is_gone() -> (
    None
):
    mine = position(1, leg(200), guards=1)
    stop = replace(
        order(mine, mine.legs[0], STOP, order_type=OrderType.STOP_MARKET, trigger_price=d(9)),
        state=S.ACKED,
        broker_order_id="5",
    )
    after = corrected(adjust(wanted(gold(200, 0)), [mine], [stop]), [mine], [stop])
    (left,) = after.positions
    assert (left.status, left.is_flat) == (PositionStatus.CLOSING, True)
    cancelled = OrderReport(broker_order_id="5", status=OrderStatus.CANCELLED)
    word = Told(client_order_id=stop.client_order_id, attempt=0, word=Placed(report=cancelled))
    end = settle(LaneBooks(now=NOW, intents=(stop,), positions=(left,)), [word])
    assert end.positions[0].status is PositionStatus.CLOSED


@pytest.mark.req("ORD-9")
@given(
    lots=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    theirs=st.integers(-3, 40),
)
def test_whatever_is_taken_away_positions_stay_the_sum_of_their_fills(
    lots: list[int], theirs: int
) -> None:
    positions = [position(n, leg(count * LOT)) for n, count in enumerate(lots, 1)]
    entries = [entry(place, place.legs[0]) for place in positions]
    total = sum(lots)
    found = adjust(wanted(gold(total * LOT, theirs * LOT)), positions, [])
    if theirs >= total:
        assert found is AdjustmentRefusal.NOT_OURS
        return
    after = corrected(found, positions)
    now = {place.id: place for place in (*positions, *after.positions)}.values()
    held = sum((place.legs[0].net for place in now), Decimal(0))
    assert held == max(theirs, 0) * LOT
    booked = [*after.fills, *(_entry_fill(each) for each in entries)]
    assert violations([*entries, *after.intents], list(now), booked) == ()


def _entry_fill(intent: OrderIntent) -> Fill:
    return Fill(
        client_order_id=intent.client_order_id,
        cumulative_quantity=intent.filled_quantity,
        quantity=intent.filled_quantity,
        value=intent.filled_value,
    )
