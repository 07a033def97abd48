from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from makers import ACCOUNT, NOW, RULES, Store, d, logged, only, portfolio_signal, situation
from onefill.core.book import Decision, Mark, Situation, Sizing, TimeBasis
from onefill.core.decide import decide
from onefill.core.ids import client_order_id, position_id
from onefill.core.instrument import Caps, EquityBase
from onefill.core.intent import IntentState, Side
from onefill.core.money import plain
from onefill.core.portfolio.equity import (
    contribution,
    exposure,
    open_equity,
    sizing_equity,
    unrealised,
)
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import Engine, Signal, SignalKind, SignalStatus

BASE = portfolio_signal(SignalKind.BASE_ENTRY)
GOLD = portfolio_signal(
    SignalKind.BASE_ENTRY,
    instrument="GOLD_MINI",
    price=d(78500),
    stop=d(77800),
    atr=d(450),
    er=d("0.85"),
)


def enter(signal: Signal = BASE, seen: Situation | None = None, **rules: Any) -> Decision:
    seen = seen or situation(signal.instrument)
    return decide(logged(signal), seen, replace(RULES, **rules))


def opened(signal: Signal = BASE, **over: Any) -> Store:
    """A store in which this entry has been bought at its signal's price."""
    store = Store(situation(signal.instrument, **over))
    decision = store.write(decide(logged(signal), store.seen(), RULES), 1)
    assert decision.intents, decision
    assert signal.price is not None
    for intent in decision.intents:
        store.claim(intent)
        strike = decision.positions[0].strike
        price = {"ce": signal.price - (strike or 0) + 500, "pe": d(500), "fut": signal.price}
        store.fill(intent, price[intent.leg])
    store.check()
    return store


def held(store: Store) -> Position:
    return next(iter(store.positions.values()))


@pytest.mark.req("PF-1", "PF-20", "ORD-1")
def test_a_base_entry_opens_a_synthetic_future_with_the_hedge_first() -> None:
    decision = enter()
    call, put = decision.intents
    source = logged(BASE).source
    assert decision.status is SignalStatus.DECIDED
    assert [(i.order.side, i.order.symbol) for i in decision.intents] == [
        (Side.BUY, "BANKNIFTY30DEC2552000CE"),
        (Side.SELL, "BANKNIFTY30DEC2552000PE"),
    ]
    assert put.after == call.client_order_id
    assert call.client_order_id == client_order_id("tst", source, "ce", "open", 1)
    assert call.order.quantity == put.order.quantity == 105  # 3 lots of 35
    assert (call.order.exchange, call.order.broker, call.order.account) == (
        "NFO",
        "openalgo",
        "paper",
    )


@pytest.mark.req("SIG-13", "ORD-8")
def test_only_the_first_leg_expires_since_the_second_completes_it() -> None:
    call, put = enter().intents
    assert (call.adds_exposure, call.valid_until) == (True, NOW + timedelta(seconds=60))
    assert (put.adds_exposure, put.valid_until) == (False, None)


@pytest.mark.req("PF-1", "PF-10", "SIG-22")
def test_the_position_keeps_what_it_was_sized_with() -> None:
    decision = enter()
    position = decision.positions[0]
    assert position.status is PositionStatus.PENDING
    assert position.id == position_id(logged(BASE).source, "Long_1")
    assert (position.lots, position.units_per_lot, position.point_value) == (3, 35, 35)
    assert (position.stop, position.initial_stop) == (51650, 51650)
    assert (position.strike, position.expiry) == (52000, date(2025, 12, 30))
    assert position.limiter == decision.numbers["limiter"] == "risk"
    assert decision.numbers["R"] == "3.3469"
    assert decision.numbers["equity"] == "5000000"
    assert {"V", "M", "lots"} <= decision.numbers.keys()


@pytest.mark.req("PF-1", "PF-20")
def test_gold_mini_is_one_future_with_its_multiplier() -> None:
    decision = enter(GOLD)
    order = only(decision.intents).order
    leg = decision.positions[0].legs[0]
    assert (order.symbol, order.exchange, order.quantity) == ("GOLDM05JAN26FUT", "MCX", 200)
    assert leg.multiplier * leg.quantity == decision.positions[0].point_value * 2


@pytest.mark.req("PF-13")
def test_profit_per_point_is_the_point_value_whatever_the_lot() -> None:
    store = opened(GOLD)
    position = held(store).fill("fut", Side.SELL, d(200), d(200) * 78600)
    assert position.realised == 100 * 10 * 2


@pytest.mark.req("SIG-18")
def test_a_pause_rejects_entries() -> None:
    decision = enter(seen=situation(paused=True))
    assert (decision.status, decision.reason) == (SignalStatus.REJECTED, "paused")


@pytest.mark.req("SIG-13")
@pytest.mark.parametrize(("age_s", "expired"), [(60, False), (61, True)])
def test_an_entry_older_than_its_largest_age_expires(age_s: int, expired: bool) -> None:
    decision = enter(seen=situation(now=NOW + timedelta(seconds=age_s)))
    assert (decision.status is SignalStatus.EXPIRED) == expired


@pytest.mark.req("SIG-13")
def test_each_type_may_have_an_age_of_its_own_and_an_expiry_is_told() -> None:
    rules = replace(RULES, max_age_by_type_s={SignalKind.BASE_ENTRY: d(5)})
    seen = situation(now=NOW + timedelta(seconds=6))
    expired = decide(logged(BASE), seen, rules)
    assert (expired.status, expired.numbers["max_age_s"]) == (SignalStatus.EXPIRED, "5")
    assert "expired before it traded" in expired.alarms[0]
    assert decide(logged(BASE), seen, RULES).alarms == ()


@pytest.mark.req("SIG-20")
def test_a_replay_judges_age_and_contract_by_the_signals_own_time() -> None:
    account = replace(ACCOUNT, time_basis=TimeBasis.SIGNAL)
    decision = enter(seen=situation(now=NOW + timedelta(days=400), account=account))
    assert decision.status is SignalStatus.DECIDED
    assert decision.positions[0].expiry == date(2025, 12, 30)
    assert decision.intents[0].valid_until is None


@pytest.mark.req("SIG-12")
@pytest.mark.parametrize("slot", ["Long_1", "ALL"])
def test_an_entry_older_than_a_decided_exit_of_its_slot_is_overtaken(slot: str) -> None:
    later = Mark(kind=SignalKind.EXIT, position=slot, time=NOW + timedelta(seconds=1))
    same = replace(later, time=NOW)
    other = replace(later, position="Long_2")
    assert enter(seen=situation(marks=(later,))).reason == "overtaken"
    assert enter(seen=situation(marks=(same, other))).status is SignalStatus.DECIDED


@pytest.mark.req("SIG-11")
def test_the_same_entry_within_the_window_is_ignored_unless_an_order_id_tells_them_apart() -> None:
    before = Mark(kind=SignalKind.BASE_ENTRY, position="Long_1", time=NOW - timedelta(seconds=60))
    older = replace(before, time=NOW - timedelta(seconds=61))
    decision = enter(seen=situation(marks=(before,)))
    assert (decision.status, decision.reason) == (SignalStatus.IGNORED, "repeated")
    assert enter(seen=situation(marks=(older,))).status is SignalStatus.DECIDED
    told_apart = replace(BASE, order_id="2")
    assert enter(told_apart, situation(marks=(before,))).status is SignalStatus.DECIDED


@pytest.mark.req("ORD-8")
def test_a_blocked_lane_takes_no_entry_and_says_why() -> None:
    decision = enter(seen=situation(blocked="unequal_legs"))
    assert (decision.status, decision.reason) == (SignalStatus.BLOCKED, "lane_blocked")
    assert decision.numbers["lane_blocked_by"] == "unequal_legs"


@pytest.mark.req("ORD-8")
@pytest.mark.parametrize("state", ["NEW", "SENDING", "IN_DOUBT", "QUARANTINED", "ACKED"])
def test_an_entry_waits_while_an_order_of_its_lane_is_not_settled(state: str) -> None:
    call = replace(enter().intents[0], state=IntentState(state))
    assert enter(seen=situation(intents=(call,))).wait
    late = situation(intents=(call,), now=NOW + timedelta(seconds=61))
    assert enter(seen=late).status is SignalStatus.EXPIRED


@pytest.mark.req("PF-8")
def test_a_taken_slot_is_not_entered_again() -> None:
    store = opened()
    again = replace(BASE, time=NOW + timedelta(seconds=1), order_id="2")
    decision = decide(logged(again, 2), store.seen(), RULES)
    assert (decision.status, decision.reason) == (SignalStatus.IGNORED, "slot_taken")


@pytest.mark.req("PF-8")
def test_an_entry_waits_for_the_exit_of_its_slot() -> None:
    store = opened()
    leave = portfolio_signal(SignalKind.EXIT, time=NOW, reason="stop")
    store.write(decide(logged(leave, 2), store.seen(), RULES), 2)
    again = replace(BASE, time=NOW + timedelta(seconds=1), order_id="2")
    assert decide(logged(again, 3), store.seen(), RULES).wait


@pytest.mark.req("PF-8")
@pytest.mark.parametrize(
    ("kind", "slot"), [(SignalKind.BASE_ENTRY, "Long_2"), (SignalKind.PYRAMID, "Long_1")]
)
def test_the_base_and_the_pyramids_keep_to_their_slots(kind: SignalKind, slot: str) -> None:
    assert enter(portfolio_signal(kind, slot)).reason == "wrong_slot"


@pytest.mark.req("SIG-14")
@pytest.mark.parametrize(
    ("over", "status", "reason"),
    [
        ({"stop": d(52000)}, SignalStatus.REJECTED, "invalid_risk"),
        ({"er": d(0)}, SignalStatus.BLOCKED, "risk"),
        ({"atr": d(9000)}, SignalStatus.BLOCKED, "volatility"),
        ({"instrument": "WHEAT"}, SignalStatus.REJECTED, "unknown_instrument"),
        ({"engine": Engine.AUTOPILOT}, SignalStatus.REJECTED, "engine_not_available"),
    ],
)
def test_a_refused_entry_names_its_reason(
    over: dict[str, Any], status: SignalStatus, reason: str
) -> None:
    decision = enter(replace(BASE, **over))
    assert (decision.status, decision.reason, decision.intents) == (status, reason, ())


@pytest.mark.req("PF-1", "PF-4")
def test_margin_in_use_elsewhere_in_the_portfolio_limits_the_lots() -> None:
    store = opened(GOLD)
    other = replace(held(store), lots=27)  # 27 · 105,000 of 3,000,000
    decision = enter(seen=situation(positions=(other,)))
    assert (decision.status, decision.reason) == (SignalStatus.BLOCKED, "margin")
    assert decision.numbers["M"] == plain(round(Decimal(165_000) / 270_000, 4))


@pytest.mark.req("PF-4")
def test_lots_shrink_to_what_the_caps_leave_else_the_entry_is_blocked() -> None:
    # One lot risks 350 · 35 = 12,250; three were sized.
    shrunk = enter(caps=Caps(risk_percent=d("0.5")))
    assert (shrunk.positions[0].lots, shrunk.positions[0].limiter) == (2, "risk_cap")
    assert (shrunk.numbers["lots_sized"], shrunk.numbers["lots"]) == ("3", "2")
    blocked = enter(caps=Caps(volatility_percent=d("0.1")))
    assert (blocked.status, blocked.reason) == (SignalStatus.BLOCKED, "volatility_cap")


@pytest.mark.req("SIG-20")
def test_a_signal_that_sizes_itself_passes_gates_and_caps() -> None:
    account = replace(ACCOUNT, sizing=Sizing.SIGNAL)
    many = replace(BASE, lots=40, er=d(0))
    assert enter(many, situation(account=account)).positions[0].lots == 40
    assert enter(replace(BASE, lots=0), situation(account=account)).reason == "no_lots"
    pyramid = portfolio_signal(SignalKind.PYRAMID, "Long_2")
    assert enter(pyramid, situation(account=account)).reason == "base_not_open"


def pyramid(price: int = 53000, **over: Any) -> Signal:
    stop = over.pop("stop", price - 400)
    return portfolio_signal(
        SignalKind.PYRAMID,
        over.pop("slot", "Long_2"),
        price=d(price),
        stop=d(stop),
        **({"time": NOW + timedelta(seconds=1)} | over),
    )


@pytest.mark.req("PF-2", "PF-3")
def test_a_pyramid_is_bought_when_every_gate_lets_it_through() -> None:
    store = opened()
    decision = decide(logged(pyramid(), 2), store.seen(), RULES)
    # Excess: (1000 − 350) · 3 lots · 35 = 68,250; half of it over 400 · 35 is 2.4.
    assert decision.status is SignalStatus.DECIDED
    assert {k: decision.numbers[k] for k in "ABC"} == {"A": "8", "B": "1", "C": "2"}
    assert {p.slot: p.limiter for p in decision.positions}["Long_2"] == "geometric_0.5^n"
    assert decision.numbers["base_gain"] == "1000"


@pytest.mark.req("PF-3")
@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (pyramid(52350), "one_r"),  # strictly more than one R
        (pyramid(atr=d(2001)), "spacing"),
        (pyramid(stop=53000), "invalid_risk"),
    ],
)
def test_each_gate_of_a_pyramid_refuses_by_its_name(signal: Signal, reason: str) -> None:
    store = opened()
    decision = decide(logged(signal, 2), store.seen(), RULES)
    assert (decision.reason, decision.intents) == (reason, ())
    assert decision.numbers


@pytest.mark.req("PF-3")
def test_the_gates_on_base_count_and_profit_refuse() -> None:
    store = opened()
    seen = store.seen()
    assert decide(logged(pyramid(), 2), situation(), RULES).reason == "base_not_open"
    bank = RULES.instruments["BANK_NIFTY"]
    full = replace(RULES, instruments={"BANK_NIFTY": replace(bank, pyramids_max=0)})
    assert decide(logged(pyramid(), 2), seen, full).reason == "pyramids_max"
    base = held(store)
    loser = replace(
        base,
        id=position_id("x", "Long_2"),
        slot="Long_2",
        entry_price=d(60000),
        opened_at=NOW - timedelta(days=1),
    )
    losing = replace(seen, positions=(base, loser))
    signal = pyramid(slot="Long_3")
    assert decide(logged(signal, 2), losing, RULES).reason == "not_in_profit"


@pytest.mark.req("PF-3")
def test_a_pyramid_is_refused_when_the_portfolio_would_pass_its_caps() -> None:
    store = opened()
    # This close trails the base's stop to 52500: it carries 500 · 105 and 200 · 105; one lot adds
    # 14,000 and 7,000.
    for caps, reason in (
        (Caps(pyramid_risk_percent=d("1.32")), "pyramid_risk_cap"),
        (Caps(pyramid_volatility_percent=d("0.55")), "pyramid_volatility_cap"),
    ):
        decision = decide(logged(pyramid(), 2), store.seen(), replace(RULES, caps=caps))
        assert (decision.status, decision.reason) == (SignalStatus.BLOCKED, reason)
    enough = replace(RULES, caps=Caps(pyramid_risk_percent=d("1.33")))
    assert decide(logged(pyramid(), 2), store.seen(), enough).status is SignalStatus.DECIDED


@pytest.mark.req("PF-5")
def test_the_equity_that_sizes_is_the_configured_one() -> None:
    store = opened()
    account = replace(ACCOUNT, realised=d(100_000), movements=d(-50_000), high_water=d(5_200_000))
    positions = tuple(p for p in store.seen().priced(d(52100)).positions)
    assert unrealised(positions) == 100 * 105
    assert account.closed_equity == 5_050_000
    assert open_equity(account, positions) == 5_060_500
    assert sizing_equity(account, positions, EquityBase.EQUITY_HIGH) == 5_200_000
    assert sizing_equity(account, positions, EquityBase.CLOSED) == 5_050_000
    assert sizing_equity(account, positions, EquityBase.BLENDED) == 5_055_250


@pytest.mark.req("PF-6")
def test_a_positions_contributions_are_percentages_of_equity() -> None:
    position = held(opened())
    carried = exposure(position, d(52000))
    assert (carried.risk, carried.volatility, carried.margin) == (36_750, 21_000, 810_000)
    share = contribution(position, d(5_000_000))
    assert (share.risk_percent, share.volatility_percent) == (d("0.735"), d("0.42"))
    assert exposure(replace(position, stop=d(53000))).risk == 0
    assert exposure(replace(position, status=PositionStatus.CLOSED)).margin == 0


@pytest.mark.req("PF-10")
def test_a_bar_updates_what_positions_know_of_the_market() -> None:
    store = opened()
    bar = portfolio_signal(SignalKind.MARKET_DATA, None, price=d(52400), atr=d(360))
    decision = store.write(decide(logged(bar, 2), store.seen(), RULES), 2)
    position = held(store)
    assert decision.status is SignalStatus.EXECUTED
    assert (position.last_price, position.highest_close, position.atr) == (52400, 52400, 360)
    lower = replace(bar, price=d(52300), time=NOW + timedelta(minutes=15))
    store.write(decide(logged(lower, 3), store.seen(), RULES), 3)
    assert (held(store).last_price, held(store).highest_close) == (52300, 52400)


@pytest.mark.req("SIG-12")
def test_a_late_bar_changes_nothing() -> None:
    bar = portfolio_signal(SignalKind.MARKET_DATA, None)
    seen = situation().after(Decision(status=SignalStatus.EXECUTED), bar)
    late = replace(bar, time=NOW - timedelta(seconds=1))
    assert decide(logged(late), seen, RULES).reason == "overtaken"


@pytest.mark.req("SIG-12")
def test_the_next_decision_of_a_group_sees_the_one_before() -> None:
    first = enter()
    seen = situation().after(first, BASE)
    assert seen.last_decided == NOW
    assert len(seen.intents) == 2
    assert seen.mark(SignalKind.BASE_ENTRY, "Long_1") == Mark.of(BASE)
    older = replace(BASE, time=NOW - timedelta(seconds=5))
    assert seen.after(first, older).mark(SignalKind.BASE_ENTRY, "Long_1") == Mark.of(BASE)
