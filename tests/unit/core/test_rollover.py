"""Into the next contract: closed, opened anew, stops moved by the basis, nothing twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from makers import NOW, RULES, Store, d, logged, portfolio_signal, situation
from onefill.core.book import Decision, TimeBasis
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Switches
from onefill.core.intent import OrderIntent, Side
from onefill.core.orders.report import NotPlaced, Unknown
from onefill.core.portfolio.rollover import must_roll, must_roll_at
from onefill.core.position import Position, PositionStatus, Rollover
from onefill.core.signal import LoggedSignal, SignalKind, SignalStatus

LATER = datetime(2025, 12, 24, 5, 0, tzinfo=UTC)  # six days before the contract's end
BASE = portfolio_signal(SignalKind.BASE_ENTRY)
BANK_NIFTY, GOLD_MINI = RULES.instruments["BANK_NIFTY"], RULES.instruments["GOLD_MINI"]


def held() -> Store:
    """Long_1, entered at 52020 (call 500, put 480), to be rolled."""
    store = Store(situation())
    call, put = store.write(decide(logged(BASE), store.seen(), RULES), 1).intents
    fill(store, call, 500)
    fill(store, put, 480)
    position = old(store)
    store.positions[position.id] = replace(position, rollover=Rollover.PENDING)
    store.situation = replace(store.situation, now=LATER)
    return store


def fill(store: Store, intent: OrderIntent, price: int) -> None:
    store.claim(intent)
    store.fill(intent, price)


def old(store: Store) -> Position:
    return next(p for p in store.positions.values() if p.rolled_from is None)


def new(store: Store) -> Position:
    return next(p for p in store.positions.values() if p.rolled_from is not None)


def go(store: Store) -> tuple[OrderIntent, ...]:
    decision: Decision | None = go_on(store.seen(), RULES)
    return store.write(decision).intents if decision else ()


def closed() -> Store:
    """Flat, on its way: left at 53000 + 700 - 620 relative to its strike of 52000."""
    store = held()
    put, call = go(store)
    fill(store, put, 420)
    fill(store, call, 1500)
    return store


@pytest.mark.req("PF-24")
@pytest.mark.parametrize(("days", "rolls"), [(8, False), (7, False), (6, True), (0, True)])
def test_fewer_than_the_instruments_days_left_is_when_it_rolls(days: int, rolls: bool) -> None:
    position = old(held())
    assert position.expiry == date(2025, 12, 30)
    assert must_roll(position, BANK_NIFTY, position.expiry - timedelta(days=days)) is rolls
    gold_days = must_roll(position, GOLD_MINI, position.expiry - timedelta(days=7))
    assert gold_days is True


def replayed(kind: SignalKind = SignalKind.MARKET_DATA, at: datetime = LATER) -> LoggedSignal:
    slot = {SignalKind.MARKET_DATA: None, SignalKind.EXIT: "ALL"}.get(kind, "Long_2")
    return logged(portfolio_signal(kind, slot, time=at, price=d(52900)), 2)


def replay() -> Store:
    """The same position in a replay; nobody has asked for its rollover."""
    store = held()
    position = replace(old(store), rollover=Rollover.NONE)
    store.positions[position.id] = position
    account = replace(store.situation.account, time_basis=TimeBasis.SIGNAL)
    store.situation = replace(store.situation, account=account)
    return store


@pytest.mark.req("PF-24", "SIG-20")
@pytest.mark.parametrize("kind", [SignalKind.MARKET_DATA, SignalKind.PYRAMID])
def test_in_a_replay_what_is_due_by_a_signals_time_rolls_before_it(kind: SignalKind) -> None:
    store = replay()
    early = replayed(kind, LATER - timedelta(days=1))
    assert not decide(early, store.seen(), RULES).wait
    put, call = store.write(decide(replayed(kind), store.seen(), RULES), 2).intents
    assert (put.order.side, call.order.side) == (Side.BUY, Side.SELL)
    for intent, price in ((put, 420), (call, 1500)):
        assert store.write(decide(replayed(kind), store.seen(), RULES), 2).wait
        fill(store, intent, price)
    coming = replace(store.seen(), heard_at=LATER)
    decision = go_on(coming, RULES)
    assert decision is not None
    for intent in store.write(decision).intents:
        assert store.write(decide(replayed(kind), store.seen(), RULES), 2).wait
        fill(store, intent, 600)
    assert new(store).expiry == date(2026, 1, 27)
    assert not store.write(decide(replayed(kind), store.seen(), RULES), 2).wait
    assert len(store.positions) == 2 + (kind is SignalKind.PYRAMID and 2 not in store.signals)
    store.check()


@pytest.mark.req("PF-24", "PF-12")
def test_in_a_replay_an_exit_waits_for_no_rollover_and_a_clock_rolls_nothing() -> None:
    exit_ = decide(replayed(SignalKind.EXIT), replay().seen(), RULES)
    assert not exit_.wait
    assert {position.rollover for position in exit_.positions} == {Rollover.NONE}
    by_the_clock = replay()
    account = replace(by_the_clock.situation.account, time_basis=TimeBasis.NOW)
    seen = by_the_clock.seen(account=account)
    assert not decide(replayed(), seen, RULES).wait


@pytest.mark.req("PF-24", "SIG-18")
def test_only_open_positions_roll_and_only_while_the_market_trades() -> None:
    position = old(held())
    rules = replace(RULES, switches=Switches(market_hours=True))
    assert must_roll_at(position, LATER, rules)
    assert not must_roll_at(position, LATER + timedelta(hours=9), rules)
    assert not must_roll_at(replace(position, status=PositionStatus.CLOSING), LATER, rules)


@pytest.mark.req("PF-24")
def test_it_closes_the_short_leg_first_and_keeps_its_slot_when_flat() -> None:
    store = held()
    put, call = go(store)
    assert [(i.leg, i.order.side) for i in (put, call)] == [("pe", Side.BUY), ("ce", Side.SELL)]
    assert (old(store).status, old(store).rollover) == (
        PositionStatus.CLOSING,
        Rollover.IN_PROGRESS,
    )
    assert go(store) == ()
    fill(store, put, 420)
    fill(store, call, 1500)
    assert old(store).is_flat
    assert old(store).status is PositionStatus.CLOSING
    entry = replace(BASE, time=LATER, order_id="2")
    assert decide(logged(entry, 3), store.seen(), RULES).wait


@pytest.mark.req("PF-24", "PF-25")
def test_the_successor_is_written_with_the_end_of_the_old_one() -> None:
    store = closed()
    call, put = go(store)
    assert (old(store).status, old(store).rollover) == (PositionStatus.CLOSED, Rollover.ROLLED)
    successor = new(store)
    assert (successor.slot, successor.lots, successor.status) == (
        "Long_1",
        old(store).lots,
        PositionStatus.PENDING,
    )
    assert successor.expiry == date(2026, 1, 27)
    assert successor.rolled_price == 52000 + 1500 - 420
    assert (call.order.side, put.order.side, put.after) == (
        Side.BUY,
        Side.SELL,
        call.client_order_id,
    )
    assert call.order.quantity == successor.lots * 30  # the new series' lot
    assert not call.adds_exposure
    assert go(store) == ()


@pytest.mark.req("PF-24")
def test_stops_move_by_the_basis_and_the_first_entry_is_remembered() -> None:
    store = closed()
    before = old(store)
    call, put = go(store)
    fill(store, call, 900)
    fill(store, put, 750)
    successor = new(store)
    assert (successor.status, successor.rollover) == (PositionStatus.OPEN, Rollover.ROLLED)
    assert successor.strike is not None and before.stop is not None
    basis = successor.strike + 900 - 750 - (52000 + 1500 - 420)
    assert basis != 0
    assert successor.stop == before.stop + basis
    assert successor.effective_entry == 52020 + basis
    assert (successor.original_strike, successor.original_expiry) == (52000, date(2025, 12, 30))
    assert (successor.original_entry_price, successor.rollover_count) == (52020, 1)
    assert successor.rollover_pnl == old(store).realised
    store.tell()
    assert new(store).stop == before.stop + basis  # once
    store.check()


@pytest.mark.req("PF-24")
def test_a_rolled_position_rolls_again_and_keeps_where_it_came_from() -> None:
    store = closed()
    for intent, price in zip(go(store), (900, 750), strict=True):
        fill(store, intent, price)
    first = new(store)
    store.positions = {first.id: replace(first, rollover=Rollover.PENDING)}
    store.situation = replace(store.situation, now=datetime(2026, 1, 21, 5, 0, tzinfo=UTC))
    for intent in go(store):
        fill(store, intent, 800)
    for intent in go(store):
        fill(store, intent, 800)
    second = next(p for p in store.positions.values() if p.rolled_from == first.id)
    assert (second.rollover_count, second.original_entry_price) == (2, 52020)
    assert second.rollover_pnl == first.rollover_pnl + store.positions[first.id].realised
    assert second.expiry == date(2026, 2, 24)


@pytest.mark.req("PF-24", "PF-12")
@pytest.mark.parametrize("when", ["closing", "flat", "opening", "half"])
def test_an_exit_in_the_middle_cancels_what_is_not_opened(when: str) -> None:
    store = held() if when == "closing" else closed()
    orders = go(store) if when != "flat" else ()
    if when == "half":
        fill(store, orders[0], 900)
    leave = portfolio_signal(SignalKind.EXIT, reason="signal", time=LATER)
    exits = store.write(decide(logged(leave, 2), store.seen(), RULES), 2)
    if when == "closing":
        assert exits.intents == ()  # what closes it is on its way already
        fill(store, orders[0], 420)
        fill(store, orders[1], 1500)
    for intent in exits.intents:
        fill(store, intent, 700)
    assert go(store) == ()
    assert not any(position.is_live for position in store.positions.values())
    assert all(position.is_flat for position in store.positions.values())
    assert store.signals[2][0] is SignalStatus.EXECUTED
    if when in ("closing", "flat"):
        assert old(store).rollover is Rollover.FAILED
        assert len(store.positions) == 1


@pytest.mark.req("PF-24", "ORD-8")
def test_nothing_is_opened_while_the_close_is_in_doubt() -> None:
    store = held()
    put, call = go(store)
    fill(store, put, 420)
    store.claim(call)
    store.word(call, Unknown(detail="no answer"))
    store.advance(1000)
    assert go(store) == ()
    assert len(store.positions) == 1


@pytest.mark.req("PF-24")
def test_a_successor_that_is_refused_is_critical_and_not_forgotten() -> None:
    store = closed()
    call, _ = go(store)
    store.claim(call)
    store.word(call, NotPlaced(code="400", message="margin"))
    assert (new(store).status, new(store).rollover) == (PositionStatus.CLOSED, Rollover.FAILED)
    assert store.alarms[-1].startswith("CRITICAL")


OPEN_HOURS = replace(RULES, switches=Switches(market_hours=True))
CLOSE = datetime(2025, 12, 24, 10, 0, tzinfo=UTC)  # 15:30 in India


def at(store: Store, moment: datetime) -> Decision | None:
    store.situation = replace(store.situation, now=moment)
    decision = go_on(store.seen(), OPEN_HOURS)
    if decision is not None:
        store.write(decision)
    return decision


@pytest.mark.req("PF-24", "SIG-18")
def test_a_market_that_closes_in_the_middle_is_told_of_and_opens_the_rest() -> None:
    store = held()
    begun = at(store, CLOSE - timedelta(minutes=11))
    assert begun is not None
    put, call = begun.intents
    fill(store, put, 420)
    store.claim(call)
    store.word(call, NotPlaced(code="400", message="the market is closed"))
    # The short leg is covered; the long one waits for the open, and somebody hears of it.
    again = at(store, CLOSE + timedelta(minutes=1))
    assert again is not None
    assert again.intents == ()
    assert "it will be issued again" in store.alarms[-1]
    opens = datetime(2025, 12, 26, 3, 45, tzinfo=UTC)  # after Christmas
    store.situation = replace(store.situation, now=opens)
    (position,) = store.positions.values()
    assert position.status is PositionStatus.CLOSING
    assert position.next_exit_at is not None and position.next_exit_at <= opens
    last = at(store, opens)
    assert last is not None
    (sell,) = last.intents
    assert (sell.leg, sell.order.side) == ("ce", Side.SELL)
    # It is flat when the market closes again: nothing opens, and that is told once.
    store.claim(sell)
    store.situation = replace(store.situation, now=datetime(2025, 12, 26, 10, 0, tzinfo=UTC))
    store.fill(sell, 1500)
    told = len(store.alarms)
    flat = at(store, datetime(2025, 12, 26, 10, 0, tzinfo=UTC))
    assert flat is not None
    assert (flat.intents, len(flat.alarms)) == ((), 1)
    assert "closed to roll and its market closed" in flat.alarms[0]
    assert at(store, datetime(2025, 12, 26, 10, 1, tzinfo=UTC)) is None
    assert len(store.alarms) == told
    assert old(store).next_exit_at == datetime(2025, 12, 29, 3, 45, tzinfo=UTC)
    opened = at(store, datetime(2025, 12, 29, 3, 45, tzinfo=UTC))
    assert opened is not None
    assert [intent.leg for intent in opened.intents] == ["ce", "pe"]


@pytest.mark.req("PF-24", "SIG-18")
@pytest.mark.parametrize(("minutes", "begins"), [(11, True), (10, False), (1, False)])
def test_nothing_begins_to_roll_shortly_before_the_close(minutes: int, begins: bool) -> None:
    store = held()
    assert (at(store, CLOSE - timedelta(minutes=minutes)) is not None) is begins
    assert (old(store).status is PositionStatus.CLOSING) is begins


@pytest.mark.req("PF-24")
def test_in_a_blocked_lane_nothing_is_closed_to_roll_until_its_last_day() -> None:
    store = held()
    store.situation = replace(store.situation, blocked="quarantined")
    assert go(store) == ()
    assert old(store).status is PositionStatus.OPEN
    store.situation = replace(store.situation, now=datetime(2025, 12, 29, 5, 0, tzinfo=UTC))
    assert [intent.leg for intent in go(store)] == ["pe", "ce"]


@pytest.mark.req("PF-24")
def test_a_blocked_lane_is_not_opened_again_and_says_so() -> None:
    store = closed()
    store.situation = replace(store.situation, blocked="unequal_legs")
    decision = go_on(store.seen(), RULES)
    assert decision is not None
    assert decision.intents == ()
    assert "can't be opened (unequal_legs)" in decision.alarms[0]


@pytest.mark.req("PF-3", "PF-24")
def test_a_pyramid_on_a_rolled_base_measures_from_the_first_entry() -> None:
    store = closed()
    for intent, price in zip(go(store), (900, 750), strict=True):
        fill(store, intent, price)
    base = new(store)
    assert base.effective_entry is not None and base.initial_stop is not None
    one_r = base.effective_entry - base.initial_stop
    assert one_r == 52020 - 51650
    price = base.effective_entry + one_r + 400
    signal = portfolio_signal(
        SignalKind.PYRAMID, "Long_2", price=price, stop=price - 400, time=LATER + timedelta(hours=1)
    )
    store.situation = replace(store.situation, now=signal.time)
    decision = decide(logged(signal, 5), store.seen(), RULES)
    assert decision.numbers["base_gain"] == str(one_r + 400)
    assert decision.numbers["one_r"] == str(one_r)
    assert d(decision.numbers["instrument_profit"]) > 0
    assert store.now > NOW
