from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import (
    ACCOUNT,
    NOW,
    RULES,
    Store,
    d,
    direct_signal,
    filled,
    logged,
    only,
    report,
    situation,
)
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.instrument import EquityBase
from onefill.core.intent import IntentState, OrderType, Side
from onefill.core.money import ZERO
from onefill.core.orders.closing import continue_exits
from onefill.core.orders.report import Absent, NotPlaced, OrderStatus, Unknown
from onefill.core.orders.settlement import Told
from onefill.core.portfolio.equity import sizing_equity, unrealised
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import Signal, SignalKind, SignalStatus

BUY, SELL, CLOSE, TARGET = SignalKind.BUY, SignalKind.SELL, SignalKind.CLOSE, SignalKind.TARGET


def lane() -> Store:
    return Store(situation("BTCUSDT"))


def send(store: Store, kind: SignalKind, number: int = 1, **fields: Any) -> Decision:
    signal = direct_signal(kind, **({"time": store.now, "order_id": str(number)} | fields))
    seen = store.seen()
    decision = store.write(decide(logged(signal, number), seen, RULES), number)
    store.situation = replace(
        store.situation, last_decided=seen.after(decision, signal).last_decided
    )
    return decision


def execute(store: Store, decision: Decision, price: int = 100) -> None:
    for intent in decision.intents:
        store.claim(intent)
        store.fill(intent, price)


def net(store: Store) -> Decimal:
    return sum((p.legs[0].net for p in store.positions.values()), ZERO)


def holding(quantity: int) -> Store:
    store = lane()
    kind = BUY if quantity > 0 else SELL
    if quantity:
        execute(store, send(store, kind, 100, quantity=d(abs(quantity))))
    store.advance(1)
    return store


def position(store: Store) -> Position:
    return next(iter(store.positions.values()))


@pytest.mark.req("SIG-23")
def test_a_trade_is_one_order_of_exactly_that_size() -> None:
    store = lane()
    intent = only(send(store, BUY, quantity=d("0.25")).intents)
    assert (intent.leg, intent.action, intent.n) == ("main", "trade", 1)
    assert (intent.order.side, intent.order.quantity) == (Side.BUY, d("0.25"))
    assert (intent.order.broker, intent.order.account) == ("binance", "paper")
    assert intent.order.order_type is OrderType.MARKET
    assert intent.adds_exposure
    assert intent.valid_until == NOW + timedelta(seconds=60)


@pytest.mark.req("SIG-23")
def test_a_limit_price_makes_a_limit_order() -> None:
    order = only(send(lane(), SELL, quantity=d(1), limit_price=d(99)).intents).order
    assert (order.order_type, order.price, order.side) == (OrderType.LIMIT, 99, Side.SELL)


@pytest.mark.req("SIG-23", "PF-8")
def test_all_trades_of_a_lane_share_one_net_position() -> None:
    store = holding(3)
    execute(store, send(store, SELL, 2, quantity=d(5)))
    assert net(store) == -2
    assert len(store.positions) == 1
    assert position(store).status is PositionStatus.OPEN  # it changed sides
    execute(store, send(store, BUY, 3, quantity=d(2)), 90)
    assert position(store).status is PositionStatus.CLOSED
    assert position(store).realised == 5 * 100 - 3 * 100 - 2 * 90
    execute(store, send(store, BUY, 4, quantity=d(1)))
    assert len(store.positions) == 2
    store.check()


@pytest.mark.req("SIG-23", "ORD-8")
def test_a_trade_waits_for_orders_in_doubt_but_not_for_orders_on_their_way() -> None:
    store = lane()
    first = only(send(store, BUY, 1, quantity=d(1)).intents)
    store.claim(first)
    second = send(store, BUY, 2, quantity=d(1))
    assert len(second.intents) == 1
    assert second.positions == ()
    store.word(first, Unknown(detail="time-out"))
    assert send(store, BUY, 3, quantity=d(1)).wait
    store.advance(61)
    late = direct_signal(BUY, quantity=d(1), time=NOW)
    assert decide(logged(late), store.seen(), RULES).status is SignalStatus.EXPIRED


@pytest.mark.req("SIG-13", "SIG-18", "ORD-8")
def test_a_trade_that_only_reduces_passes_age_pause_block_and_doubt() -> None:
    store = holding(5)
    doubtful = only(send(store, BUY, 2, quantity=d(1)).intents)
    store.claim(doubtful)
    store.word(doubtful, Unknown(detail="time-out"))
    signal = direct_signal(SELL, quantity=d(5))
    seen = store.seen(paused=True, blocked="contradiction", now=NOW + timedelta(hours=1))
    intent = only(decide(logged(signal, 3), seen, RULES).intents)
    assert (intent.adds_exposure, intent.valid_until) == (False, None)
    more = direct_signal(SELL, quantity=d(6))
    assert decide(logged(more, 4), seen, RULES).reason == "paused"


@pytest.mark.req("ORD-8")
def test_orders_that_reduce_never_ask_for_more_than_is_confirmed_and_free() -> None:
    store = holding(5)
    assert not only(send(store, SELL, 2, quantity=d(3)).intents).adds_exposure
    assert only(send(store, SELL, 3, quantity=d(3)).intents).adds_exposure


@pytest.mark.req("SIG-23")
@pytest.mark.parametrize(
    ("held", "target", "side", "quantity", "adds"),
    [
        (0, 3, Side.BUY, 3, True),
        (3, 5, Side.BUY, 2, True),
        (5, 3, Side.SELL, 2, False),
        (5, -3, Side.SELL, 8, True),
        (-5, -2, Side.BUY, 3, False),
        (-2, 4, Side.BUY, 6, True),
    ],
)
def test_a_target_is_reached_from_whatever_is_held(
    *, held: int, target: int, side: Side, quantity: int, adds: bool
) -> None:
    store = holding(held)
    decision = send(store, TARGET, 2, target=d(target))
    intent = only(decision.intents)
    assert (intent.order.side, intent.order.quantity) == (side, quantity)
    assert intent.adds_exposure is adds
    execute(store, decision)
    assert net(store) == target


@pytest.mark.req("SIG-23")
@given(
    held=st.integers(-5, 5),
    target=st.integers(-5, 5),
    repeats=st.integers(2, 4),
)
def test_a_repeated_target_changes_nothing(held: int, target: int, repeats: int) -> None:
    store = holding(held)
    for number in range(1, repeats + 1):
        decision = send(store, TARGET, number, target=d(target))
        assert not decision.wait
        if number > 1:
            assert (decision.status, decision.reason) == (SignalStatus.IGNORED, "target_reached")
        execute(store, decision)
        store.advance(1)
        assert net(store) == target
    store.check()


@pytest.mark.req("SIG-23", "SIG-12")
def test_a_late_target_changes_nothing() -> None:
    store = holding(0)
    execute(store, send(store, TARGET, 1, target=d(2)))
    late = send(store, TARGET, 2, target=d(-4), time=store.now - timedelta(seconds=1))
    assert (late.status, late.reason) == (SignalStatus.IGNORED, "overtaken")
    flat = send(store, TARGET, 3, target=d(0), time=store.now - timedelta(seconds=1))
    assert flat.reason == "overtaken"
    assert net(store) == 2


@pytest.mark.req("SIG-12")
@pytest.mark.parametrize("kind", [CLOSE, TARGET])
def test_a_trade_older_than_a_decided_close_or_target_is_overtaken(kind: SignalKind) -> None:
    store = holding(2)
    signal = direct_signal(kind, time=store.now, target=d(0) if kind is TARGET else None)
    decision = decide(logged(signal, 2), store.seen(), RULES)
    seen = store.seen().after(decision, signal)
    late = direct_signal(BUY, quantity=d(1), time=store.now - timedelta(seconds=1))
    assert decide(logged(late, 3), seen, RULES).reason == "overtaken"
    same = direct_signal(BUY, quantity=d(1), time=store.now)
    assert decide(logged(same, 3), seen, RULES).reason is None


@pytest.mark.req("SIG-23")
def test_a_target_waits_for_orders_on_their_way() -> None:
    store = lane()
    intent = only(send(store, TARGET, 1, target=d(2)).intents)
    assert send(store, TARGET, 2, target=d(2)).wait
    store.claim(intent)
    assert send(store, TARGET, 2, target=d(3)).wait
    store.fill(intent)
    assert send(store, TARGET, 2, target=d(2)).reason == "target_reached"


@pytest.mark.req("SIG-13", "SIG-18")
def test_a_target_that_reduces_is_an_exit_and_one_that_adds_is_an_entry() -> None:
    store = holding(5)
    late = store.seen(now=NOW + timedelta(hours=1))

    def reason(target: int) -> str | None:
        signal: Signal = direct_signal(TARGET, target=d(target), time=store.now)
        return decide(logged(signal), late, RULES).reason

    assert [reason(target) for target in (2, 0, 6, -1)] == [None, None, "too_old", "too_old"]


@pytest.mark.req("SIG-23", "PF-12")
@pytest.mark.parametrize(("held", "side"), [(4, Side.SELL), (-4, Side.BUY)])
@pytest.mark.parametrize("kind", [CLOSE, TARGET])
def test_closing_takes_off_all_that_is_held_and_once(
    held: int, side: Side, kind: SignalKind
) -> None:
    store = holding(held)
    decision = send(store, kind, 2, target=d(0) if kind is TARGET else None)
    order = only(decision.intents).order
    assert (order.side, order.quantity, order.reduce_only) == (side, 4, True)
    assert send(store, CLOSE, 3).reason == "already_closing"
    execute(store, decision)
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals[2] == (SignalStatus.EXECUTED, None)
    assert send(store, CLOSE, 4).reason == "nothing_to_close"
    assert send(store, TARGET, 5, target=d(0)).reason == "target_reached"
    store.check()


@pytest.mark.req("PF-12")
def test_a_close_that_ends_short_is_issued_again() -> None:
    store = holding(4)
    first = only(send(store, CLOSE, 2).intents)
    store.claim(first)
    store.word(first, NotPlaced(code="-2019", message="margin"))
    assert send(store, BUY, 3, quantity=d(1)).wait  # else the exit would take it off again
    store.advance(1)
    again = continue_exits(store.seen(), RULES)
    assert again is not None
    second = only(store.write(again).intents)
    assert (second.n, second.order.quantity, second.signal_id) == (2, 4, 2)


@pytest.mark.req("ORD-8")
def test_a_close_waits_for_orders_on_their_way_but_not_for_doubt() -> None:
    store = holding(4)
    more = only(send(store, BUY, 2, quantity=d(3)).intents)
    store.claim(more)
    assert send(store, CLOSE, 3).wait
    store.word(more, Unknown(detail="time-out"))
    decision = send(store, CLOSE, 3)
    assert only(decision.intents).order.quantity == 4
    assert send(store, BUY, 4, quantity=d(1)).wait
    execute(store, decision)
    assert position(store).status is PositionStatus.CLOSING  # the order in doubt may still fill
    store.fill(more)
    store.advance(1)
    again = continue_exits(store.seen(), RULES)
    assert again is not None
    assert only(again.intents).order.quantity == 3


@pytest.mark.req("ORD-8")
def test_a_buy_in_doubt_that_never_was_is_not_sent_after_a_close() -> None:
    store = lane()
    buy = only(send(store, BUY, 1, quantity=d(3)).intents)
    store.claim(buy)
    store.word(buy, Unknown(detail="time-out"))
    send(store, CLOSE, 2)
    store.tell(
        Told(
            client_order_id=buy.client_order_id,
            attempt=1,
            word=Absent(conclusive=True, detail="not found"),
        )
    )
    assert store.intents[buy.client_order_id].state is IntentState.EXPIRED
    assert position(store).status is PositionStatus.CLOSED
    assert store.signals == {
        1: (SignalStatus.IGNORED, "overtaken"),
        2: (SignalStatus.EXECUTED, None),
    }


@pytest.mark.req("SIG-14")
def test_a_partly_filled_trade_keeps_its_position() -> None:
    store = lane()
    buy = only(send(store, BUY, 1, quantity=d(3)).intents)
    store.claim(buy)
    store.word(buy, filled(buy, 1))
    assert store.signals[1] == (SignalStatus.EXECUTING, None)
    store.word(buy, report(buy, OrderStatus.CANCELLED, quantity=1))
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    assert (position(store).status, net(store)) == (PositionStatus.OPEN, 1)
    store.check()


@pytest.mark.req("PF-5")
@pytest.mark.parametrize(("side", "gain"), [(SignalKind.BUY, -20), (SignalKind.SELL, 20)])
def test_what_is_held_short_gains_as_its_price_falls(side: SignalKind, gain: int) -> None:
    store = lane()
    execute(store, send(store, side, quantity=d(2)), price=100)
    held = replace(position(store), last_price=d(90))
    assert held.profit_at(d(90)) == gain
    assert unrealised([held]) == gain
    assert sizing_equity(ACCOUNT, [held], EquityBase.BLENDED) == 5_000_000 + Decimal(gain) / 2
