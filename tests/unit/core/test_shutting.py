"""What was not sent before the close is sent no more; what it leaves is told and goes on after."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from makers import (
    RULES,
    Store,
    d,
    logged,
    portfolio_signal,
    position_of,
    report,
    situation,
    state_of,
)
from onefill.core.book import Decision, TimeBasis
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Switches
from onefill.core.intent import IntentState, OrderIntent, Side
from onefill.core.issue import issue_cancel
from onefill.core.orders.report import NotPlaced, OrderStatus
from onefill.core.portfolio.bars import take_close
from onefill.core.position import Position, PositionStatus, Rollover
from onefill.core.signal import SignalKind, SignalStatus

HOURS = replace(RULES, switches=Switches(market_hours=True))
CLOSE = datetime(2025, 12, 24, 10, 0, tzinfo=UTC)  # 15:30 in India
OPENS = datetime(2025, 12, 26, 3, 45, tzinfo=UTC)  # after Christmas
HOLIDAYS = {"NFO": frozenset({datetime(2025, 12, 25, tzinfo=UTC).date()})}
RULED = replace(HOURS, holidays=HOLIDAYS)
ENTRY = portfolio_signal(SignalKind.BASE_ENTRY, time=CLOSE - timedelta(seconds=30))


def entered(*prices: int) -> tuple[Store, OrderIntent, OrderIntent]:
    """Half a minute before the close; the legs that have a price are filled."""
    store = Store(situation(now=ENTRY.time))
    call, put = store.write(decide(logged(ENTRY), store.seen(), RULED), 1).intents
    for leg, price in zip((call, put), prices, strict=False):
        fill(store, leg, price)
    return store, call, put


def fill(store: Store, intent: OrderIntent, price: int) -> None:
    store.claim(intent)
    store.fill(intent, price)


def at(store: Store, moment: datetime, **over: object) -> Decision | None:
    store.situation = replace(store.situation, now=moment)
    decision = go_on(store.seen(**over), RULED)
    if decision is not None:
        store.write(decision)
    return decision


def at_night(store: Store) -> Decision:
    decision = at(store, CLOSE + timedelta(minutes=1))
    assert decision is not None
    assert decision.intents == ()
    return decision


@pytest.mark.req("PF-21", "SIG-18")
def test_a_second_leg_that_the_close_overtook_is_never_sold_and_the_first_is_undone() -> None:
    store, _, put = entered(500)
    night = at_night(store)
    assert state_of(store, put) is IntentState.EXPIRED
    assert night.reason == "outside_hours"
    (position,) = night.positions
    assert (position.status, position.next_exit_at) == (PositionStatus.PARTIAL, OPENS)
    assert night.alarms[-1].startswith("CRITICAL")
    assert (
        "holds ce 90, pe 0 and its market is closed: it goes on at 2025-12-26 09:15 IST"
        in (night.alarms[-1])
    )
    assert at(store, CLOSE + timedelta(hours=3)) is None  # told once
    morning = at(store, OPENS)
    assert morning is not None
    (sale,) = morning.intents
    assert (sale.leg, sale.order.side, sale.action) == ("ce", Side.SELL, "unwind")
    fill(store, sale, 400)
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    store.check()


@pytest.mark.req("PF-21", "SIG-14", "SIG-18")
def test_an_entry_of_which_nothing_was_sent_ends_with_the_close() -> None:
    store, call, put = entered()
    night = at_night(store)
    assert {state_of(store, leg) for leg in (call, put)} == {IntentState.EXPIRED}
    assert position_of(store).status is PositionStatus.CLOSED
    assert store.signals[1] == (SignalStatus.REJECTED, "outside_hours")
    assert night.alarms == ()


@pytest.mark.req("PF-21", "SIG-18")
def test_while_the_market_trades_in_a_replay_and_without_hours_nothing_is_withdrawn() -> None:
    store, _, put = entered(500)
    assert at(store, CLOSE - timedelta(seconds=1)) is None
    replayed = replace(store.situation.account, time_basis=TimeBasis.SIGNAL)
    seen = store.seen(account=replayed, heard_at=CLOSE + timedelta(hours=1))
    assert go_on(seen, RULED) is None
    store.situation = replace(store.situation, now=CLOSE + timedelta(hours=1))
    assert go_on(store.seen(), RULES) is None
    assert state_of(store, put) is IntentState.NEW


@pytest.mark.req("PF-12", "SIG-18")
def test_a_cancel_is_not_withdrawn() -> None:
    store, call, _ = entered()
    store.claim(call)
    store.word(call, report(call, OrderStatus.OPEN))
    cancel = issue_cancel(store.intents[call.client_order_id], 1)
    store.intents[cancel.client_order_id] = cancel
    at_night(store)
    assert state_of(store, cancel) is IntentState.NEW


@pytest.mark.req("PF-12", "PF-20", "SIG-18")
def test_a_sale_that_the_close_overtook_is_told_of_and_issued_again_at_the_opening() -> None:
    store, _, _ = entered(500, 480)
    leave = portfolio_signal(SignalKind.EXIT, reason="signal", time=CLOSE - timedelta(seconds=5))
    cover, sale = store.write(decide(logged(leave, 2), store.seen(), RULED), 2).intents
    fill(store, cover, 490)
    night = at_night(store)
    assert state_of(store, sale) is IntentState.EXPIRED
    assert [alarm.startswith("CRITICAL") for alarm in night.alarms] == [True]
    assert position_of(store).next_exit_at == OPENS
    morning = at(store, OPENS)
    assert morning is not None
    (again,) = morning.intents
    assert (again.leg, again.order.side, again.order.quantity) == ("ce", Side.SELL, 90)
    fill(store, again, 700)
    assert store.signals[2] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("PF-12", "SIG-18")
@pytest.mark.parametrize("by", ["signal", "stop"])
def test_an_exit_asked_for_while_the_market_is_closed_waits_and_is_told_of(by: str) -> None:
    store, _, _ = entered(500, 480)
    store.situation = replace(store.situation, now=CLOSE + timedelta(minutes=1))
    if by == "signal":
        leave = portfolio_signal(SignalKind.EXIT, reason="signal", time=CLOSE)
        decision = decide(logged(leave, 2), store.seen(), RULED)
    else:
        bar = portfolio_signal(SignalKind.MARKET_DATA, None, price=d(51000), time=CLOSE)
        decision = take_close(bar, store.seen(), RULED, 2)
    assert decision.intents == ()
    (alarm,) = decision.alarms
    assert "holds ce 90, pe -90 and its market is closed" in alarm
    assert not alarm.startswith("CRITICAL")  # it is whole


def rolled() -> tuple[Store, OrderIntent, OrderIntent]:
    """A position is flat in its old contract, and its successor's legs are decided, unsent."""
    store, _, _ = entered(500, 480)
    old = position_of(store)
    store.positions[old.id] = replace(old, rollover=Rollover.PENDING)
    begun = at(store, CLOSE - timedelta(minutes=11))
    assert begun is not None
    for intent, price in zip(begun.intents, (420, 1500), strict=True):
        fill(store, intent, price)
    opening = at(store, CLOSE - timedelta(minutes=1))
    assert opening is not None
    call, put = opening.intents
    return store, call, put


def successor(store: Store) -> Position:
    return next(p for p in store.positions.values() if p.rolled_from is not None)


@pytest.mark.req("PF-24", "PF-21", "SIG-18")
@pytest.mark.parametrize("bought", [0, 1])
def test_a_successor_that_the_close_cuts_short_is_completed_at_the_opening(bought: int) -> None:
    store, call, put = rolled()
    if bought:
        fill(store, call, 900)
    night = at_night(store)
    assert (successor(store).status, successor(store).next_exit_at) == (
        PositionStatus.PARTIAL,
        OPENS,
    )
    (alarm,) = night.alarms
    assert alarm.startswith("CRITICAL") is bool(bought)
    store.tell()  # whatever else is heard of the lane meanwhile
    assert successor(store).is_live
    assert at(store, OPENS - timedelta(hours=1)) is None
    morning = at(store, OPENS + timedelta(minutes=30))  # nobody was there at the bell
    assert morning is not None
    legs = [(i.leg, i.order.side, i.action) for i in morning.intents]
    assert legs == [("ce", Side.BUY, "complete"), ("pe", Side.SELL, "complete")][bought:]
    for intent in morning.intents:
        fill(store, intent, 800)
    assert (successor(store).status, successor(store).rollover) == (
        PositionStatus.OPEN,
        Rollover.ROLLED,
    )
    assert state_of(store, put) is IntentState.EXPIRED
    store.check()


@pytest.mark.req("PF-24", "PF-21")
@pytest.mark.parametrize("why", ["blocked", "refused"])
def test_a_successor_of_which_nothing_can_be_bought_ends_aloud(why: str) -> None:
    store, _, _ = rolled()
    at_night(store)
    moment, over = OPENS, {}
    if why == "refused":
        for _ in range(2):
            again = at(store, moment)
            assert again is not None
            first = again.intents[0]
            store.claim(first)
            store.word(first, NotPlaced(code="400", message="margin"))
            moment += timedelta(seconds=30)
    else:
        over = {"blocked": "quarantined"}
    last = at(store, moment, **over)
    assert last is not None
    assert (successor(store).status, successor(store).rollover) == (
        PositionStatus.CLOSED,
        Rollover.FAILED,
    )
    assert "was closed to roll, and not reopened" in last.alarms[-1]
    assert at(store, moment + timedelta(minutes=1)) is None


@pytest.mark.req("PF-24", "SIG-18")
def test_a_successor_of_which_nothing_is_bought_waits_while_trading_is_paused() -> None:
    store, _, _ = rolled()
    at_night(store)
    paused = at(store, OPENS, paused=True)
    assert paused is not None
    assert (paused.intents, paused.alarms) == ((), ())
    resumed = at(store, OPENS + timedelta(minutes=5))
    assert resumed is not None
    assert [intent.leg for intent in resumed.intents] == ["ce", "pe"]


@pytest.mark.req("PF-21", "SIG-18")
def test_a_half_built_position_is_not_repaired_while_the_market_is_closed() -> None:
    store, _, put = entered(500)
    store.claim(put)
    store.word(put, NotPlaced(code="400", message="margin"))
    assert position_of(store).status is PositionStatus.PARTIAL
    night = at_night(store)
    assert [alarm.startswith("CRITICAL") for alarm in night.alarms] == [True]
    assert position_of(store).next_exit_at == OPENS
