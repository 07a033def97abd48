"""Matching, client ids by class, and the way back from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from onefill.venue.engine import Change, Circumstances, Engine
from onefill.venue.instruments import BINANCE, OPENALGO
from onefill.venue.options import BrokerClass
from onefill.venue.orders import (
    Kind,
    Order,
    Patience,
    PositionSide,
    Refusal,
    Side,
    Status,
    Ticket,
)

OpenEngine = Callable[..., Engine]


def ticket(quantity: int = 10, side: Side = Side.BUY, **fields: object) -> Ticket:
    values: dict[str, object] = {
        "client_order_id": "",
        "dialect": BINANCE,
        "account": "paper",
        "symbol": "SIM001",
        "received_at": 1,
        **fields,
    }
    return Ticket(side=side, quantity=Decimal(quantity), **values)  # type: ignore[arg-type]


def limit(price: str, side: Side = Side.BUY, **fields: object) -> Ticket:
    return ticket(side=side, kind=Kind.LIMIT, price=Decimal(price), **fields)


def placed(engine: Engine, wish: Ticket, circumstances: Circumstances | None = None) -> Order:
    order = engine.place(wish, circumstances) if circumstances else engine.place(wish)
    assert isinstance(order, Order)
    return order


def move(engine: Engine, price: str) -> None:
    engine.push_price("SIM001", Decimal(price))


@pytest.mark.req("ORD-13")
def test_a_market_order_fills_at_once_at_the_price(open_engine: OpenEngine) -> None:
    engine = open_engine()
    order = placed(engine, ticket(3))
    assert order.status is Status.FILLED
    assert order.average_price == Decimal("100")
    assert engine.book.position("paper", "SIM001") == 3


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize(
    ("side", "price", "rests_at", "fills_at"),
    [(Side.BUY, "99.00", "99.01", "98.50"), (Side.SELL, "101.00", "100.99", "101.40")],
)
def test_a_limit_order_rests_until_the_price_is_as_good_or_better(
    open_engine: OpenEngine, side: Side, price: str, rests_at: str, fills_at: str
) -> None:
    engine = open_engine()
    order = placed(engine, limit(price, side))
    move(engine, rests_at)
    assert order.status is Status.NEW
    move(engine, fills_at)
    assert (order.status, order.average_price) == (Status.FILLED, Decimal(fills_at))


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize(
    ("side", "trigger", "before", "after"),
    [(Side.SELL, "95.00", "95.01", "94.00"), (Side.BUY, "105.00", "104.99", "106.00")],
)
def test_a_stop_waits_for_its_trigger_and_then_trades_at_market(
    open_engine: OpenEngine, side: Side, trigger: str, before: str, after: str
) -> None:
    engine = open_engine()
    stop = ticket(side=side, kind=Kind.SLM, trigger_price=Decimal(trigger))
    order = placed(engine, stop)
    move(engine, before)
    assert order.status is Status.NEW
    move(engine, after)
    assert (order.status, order.average_price) == (Status.FILLED, Decimal(after))


def test_a_triggered_stop_limit_stays_triggered_until_its_limit_is_met(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    stop = limit("94.50", Side.SELL)
    stop.kind, stop.trigger_price = Kind.SL, Decimal("95.00")
    order = placed(engine, stop)
    move(engine, "94.00")
    assert (order.status, order.triggered) == (Status.NEW, True)
    move(engine, "96.00")
    assert order.status is Status.FILLED


def test_modifying_a_stop_into_a_market_order_fills_it(open_engine: OpenEngine) -> None:
    engine = open_engine()
    order = placed(engine, ticket(side=Side.SELL, kind=Kind.SLM, trigger_price=Decimal(95)))
    change = Change(
        quantity=order.quantity, price=Decimal(0), trigger_price=Decimal(0), kind=Kind.MARKET
    )
    assert engine.modify(order, change) is None
    assert order.status is Status.FILLED
    assert engine.modify(order, change) is Refusal.NOT_OPEN


@pytest.mark.parametrize("patience", [Patience.IOC, Patience.FOK])
def test_an_impatient_order_that_cannot_fill_expires(
    open_engine: OpenEngine, patience: Patience
) -> None:
    engine = open_engine()
    assert placed(engine, limit("99", patience=patience)).status is Status.EXPIRED


def test_fill_or_kill_takes_all_or_nothing_and_immediate_or_cancel_takes_what_it_gets(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    engine.fill_at_most = Decimal(4)
    killed = placed(engine, limit("100", patience=Patience.FOK))
    assert (killed.status, killed.filled_quantity) == (Status.EXPIRED, 0)
    taken = placed(engine, limit("100", patience=Patience.IOC))
    assert (taken.status, taken.filled_quantity) == (Status.EXPIRED, 4)


@pytest.mark.req("ORD-13")
def test_partial_fills_take_their_share_of_each_price_tick(open_engine: OpenEngine) -> None:
    engine = open_engine()
    order = placed(engine, ticket(10), Circumstances(fill_at_most=Decimal(4)))
    assert (order.status, order.filled_quantity) == (Status.PARTIALLY_FILLED, 4)
    move(engine, "102.00")
    assert order.filled_quantity == 8
    move(engine, "103.00")
    assert (order.status, order.average_price) == (Status.FILLED, Decimal("101.4"))


def test_a_reduce_only_order_never_carries_a_position_through_zero(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    wish = ticket(10, Side.SELL, reduce_only=True)
    assert engine.place(wish) is Refusal.NOTHING_TO_REDUCE
    placed(engine, ticket(4))
    order = placed(engine, wish)
    assert (order.status, order.filled_quantity) == (Status.EXPIRED, 4)
    assert engine.book.position("paper", "SIM001") == 0


def test_a_held_order_trades_only_when_released(open_engine: OpenEngine) -> None:
    engine = open_engine()
    order = placed(engine, ticket(), Circumstances(is_held=True))
    move(engine, "101.00")
    assert order.status is Status.NEW
    engine.release(order)
    assert order.status is Status.FILLED


def test_a_cancelled_order_never_fills(open_engine: OpenEngine) -> None:
    engine = open_engine()
    order = placed(engine, limit("99"))
    assert engine.cancel(order) is None
    assert engine.cancel(order) is Refusal.NOT_OPEN
    move(engine, "90.00")
    assert order.filled_quantity == 0


@pytest.mark.req("ORD-6", "ORD-13")
@pytest.mark.parametrize(
    ("broker_class", "after_fill", "while_open"),
    [(BrokerClass.A, False, False), (BrokerClass.B, True, False), (BrokerClass.C, True, True)],
)
def test_a_client_id_executes_again_exactly_where_the_class_says_so(
    open_engine: OpenEngine, broker_class: BrokerClass, after_fill: bool, while_open: bool
) -> None:
    engine = open_engine(broker_class)
    placed(engine, ticket(client_order_id="filled"))
    placed(engine, limit("50", client_order_id="resting"))
    again = engine.place(ticket(client_order_id="filled"))
    assert isinstance(again, Order) is after_fill
    twice = engine.place(limit("50", client_order_id="resting"))
    assert isinstance(twice, Order) is while_open
    assert isinstance(engine.place(ticket(client_order_id="filled", account="other")), Order)


def test_openalgo_repeats_an_id_in_every_class(open_engine: OpenEngine) -> None:
    engine = open_engine(BrokerClass.A)
    wish = ticket(100, client_order_id="one", dialect=OPENALGO, symbol="GOLDM05JAN26FUT")
    placed(engine, wish)
    placed(engine, wish)
    assert engine.book.position("paper", "GOLDM05JAN26FUT") == 200


@pytest.mark.req("ORD-13")
def test_everything_comes_back_from_the_ledger(open_engine: OpenEngine) -> None:
    engine = open_engine(BrokerClass.A)
    placed(engine, ticket(10, client_order_id="one"))
    placed(engine, ticket(4, Side.SELL), Circumstances(fill_at_most=Decimal(3)))
    resting = placed(engine, limit("90.00", client_order_id="two"))
    placed(engine, ticket(7, kind=Kind.SLM, trigger_price=Decimal(105)))
    engine.cancel(placed(engine, limit("80.00")))
    move(engine, "99.00")
    engine.shift_clock(60_000)

    back = open_engine(BrokerClass.A)
    assert back.book.orders == engine.book.orders
    assert back.book.executions == engine.book.executions
    assert back.book.positions == engine.book.positions
    assert back.market.source_price("SIM001") == 99
    assert back.place(ticket(client_order_id="one")) is Refusal.DUPLICATE_ID
    move(back, "89.00")
    assert back.book.orders[resting.broker_order_id].status is Status.FILLED
    fresh = placed(back, ticket())
    assert fresh.broker_order_id == max(engine.book.orders) + 1


def test_a_position_keeps_its_entry_price_and_books_what_it_closes(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    placed(engine, ticket(10))
    move(engine, "110.00")
    placed(engine, ticket(10))
    position = engine.book.positions["paper", "SIM001", PositionSide.BOTH]
    assert (position.quantity, position.entry_price) == (20, 105)
    move(engine, "115.00")
    placed(engine, ticket(30, Side.SELL))
    assert (position.quantity, position.entry_price, position.realised) == (-10, 115, 200)


def test_a_spread_makes_a_buyer_pay_more_than_a_seller_gets(open_engine: OpenEngine) -> None:
    engine = open_engine()
    engine.market.spread = Decimal("0.10")
    assert placed(engine, ticket()).average_price == Decimal("100.05")
    assert placed(engine, ticket(side=Side.SELL)).average_price == Decimal("99.95")
