"""The contract of ports.trading.TradingStore: deciding and claiming, with the product's rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from onefill.core.book import WAIT, ChaseStep, Decision, Situation
from onefill.core.errors import Bug, Fenced
from onefill.core.ids import Lane
from onefill.core.intent import Chase, IntentState, OrderType
from onefill.core.orders.report import NotPlaced, OrderReport, OrderStatus, Placed, Unknown
from onefill.core.orders.settlement import Told, settle
from onefill.core.signal import LoggedSignal, SignalStatus
from support import until
from trading_desk import Desk, situation_of
from trading_support import (
    TTL_MS,
    Authority,
    claim_of,
    close,
    decide,
    decide_lanes,
    exits,
    filled,
    holder,
    lead,
    log_all,
    new_signal,
)

A, B = holder("a"), holder("b")


@pytest.mark.req("ORD-2", "ORD-3", "ORD-10", "SIG-14")
async def test_a_signal_becomes_an_order_becomes_a_position(desk: Desk) -> None:
    signal = await desk.signal("SIM001", "o")
    (signal_id,) = await log_all(desk.log, signal)
    assert await desk.store.lanes_with_work(10) == [signal.lane]
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    assert await desk.statuses([signal_id]) == [(SignalStatus.DECIDED, None)]
    assert [i.client_order_id for i in await desk.store.claimable(10)] == [intent.client_order_id]
    assert await desk.claim(intent) == ["claimed"]
    assert await desk.statuses([signal_id]) == [(SignalStatus.EXECUTING, None)]
    settled = await desk.store.settle([filled(intent)], settle)
    assert [i.state for i in settled.intents] == [IntentState.FILLED]
    assert settled.signals == ((signal_id, SignalStatus.EXECUTED, None),)
    assert settled.lanes == (signal.lane,)
    assert await desk.store.lanes_with_work(10) == []
    (held,) = (await situation_of(desk, signal.lane)).here
    assert held.legs[0].net == Decimal(1)


@pytest.mark.req("CTL-1", "ORD-2")
async def test_a_fenced_write_of_a_past_epoch_changes_nothing(
    desk: Desk, authority: Authority
) -> None:
    intent = await desk.order("SIM001", "1")
    await log_all(desk.log, await desk.signal("SIM002", "2"))
    assert await authority.leases(A).release("leader", desk.epoch, A)
    newer = await authority.leases(B).acquire("leader", desk.epoch, B, TTL_MS)
    assert newer == desk.epoch + 1
    with pytest.raises(Fenced):
        await decide_lanes(desk.store, desk.epoch, [Lane("main/SIM002")])
    with pytest.raises(Fenced):
        await desk.claim(intent)
    assert await desk.store.lanes_with_work(10) == [Lane("main/SIM002")]
    assert [i.state for i in await desk.store.claimable(10)] == [IntentState.NEW]


@pytest.mark.req("ORD-3")
async def test_of_two_claimers_of_one_order_one_wins(desk: Desk, authority: Authority) -> None:
    lanes = [f"SIM{n:03}" for n in range(12)]
    await log_all(desk.log, *[await desk.signal(name, "o") for name in lanes])
    intents = await decide_lanes(desk.store, desk.epoch, [Lane(f"main/{n}") for n in lanes])
    now = await desk.store.now()
    claims = [claim_of(intent, now) for intent in intents]
    stores = [desk.store, authority.trading(B), authority.trading(holder("c"))]
    verdicts = await asyncio.gather(
        *(
            store.claim(desk.epoch, claims[turn:] + claims[:turn])
            for turn, store in enumerate(stores)
        )
    )
    for intent in intents:
        got = sorted(verdict[intent.client_order_id] for verdict in verdicts)
        assert got == ["claimed", "taken", "taken"]
    owners = [len(await store.claimed_by_me(claims)) for store in stores]
    assert sum(owners) == len(intents)


@pytest.mark.req("SIG-13", "ORD-3", "CTL-2")
async def test_an_order_past_its_time_expires_with_its_signal_and_its_position(
    desk: Desk,
) -> None:
    signal = await desk.signal(
        "SIM001", "o", age_s=56
    )  # it is decided before it is late, and not claimed
    (signal_id,) = await log_all(desk.log, signal)
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    assert intent.valid_until is not None

    async def is_late() -> bool:
        assert intent.valid_until is not None
        return await desk.store.now() > intent.valid_until

    await until(is_late)
    assert await desk.claim(intent) == ["expired"]
    assert await desk.statuses([signal_id]) == [(SignalStatus.EXPIRED, "too_old")]
    assert await desk.claim(intent) == ["taken"]
    assert (await situation_of(desk, signal.lane)).positions == ()


@pytest.mark.req("SIG-18", "ORD-3")
async def test_a_pause_stops_new_exposure_and_not_the_way_out(desk: Desk) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    entry = await desk.order("SIM002", "2")
    await log_all(desk.log, close("SIM001", await desk.store.now(), "3"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    await desk.authority.pause(True, exits=True)
    assert await desk.claim(entry, leaving) == ["paused", "paused"]
    await desk.authority.pause(True)
    assert await desk.claim(entry, leaving) == ["paused", "claimed"]
    await desk.authority.pause(False)
    assert await desk.claim(entry) == ["claimed"]


@pytest.mark.req("CTL-9", "SIG-18")
async def test_an_exit_that_comes_while_exits_are_paused_is_decided_after_the_pause(
    desk: Desk,
) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    (exit_id,) = await log_all(desk.log, close("SIM001", await desk.store.now(), "2"))
    await desk.authority.pause(True, exits=True)
    assert await decide_lanes(desk.store, desk.epoch, [held.lane]) == ()
    assert await desk.statuses([exit_id]) == [(SignalStatus.RECEIVED, None)]
    await desk.authority.pause(True)
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    assert not leaving.adds_exposure


@pytest.mark.req("ORD-8")
async def test_new_exposure_waits_while_its_lane_has_an_order_in_doubt(desk: Desk) -> None:
    first, second = await desk.order("SIM001", "1"), await desk.order("SIM001", "2")
    assert await desk.claim(first) == ["claimed"]
    lost = Told(client_order_id=first.client_order_id, attempt=1, word=Unknown(detail="timed out"))
    await desk.store.settle([lost], settle)
    assert await desk.claim(second) == ["waiting"]
    assert [i.client_order_id for i in await desk.store.unresolved(9)] == [first.client_order_id]
    await desk.store.settle([filled(first)], settle)
    assert await desk.claim(second) == ["claimed"]
    assert await desk.store.unresolved(9) == []


@pytest.mark.req("ORD-3", "ORD-1")
async def test_an_attempt_is_ones_own_only_with_the_moment_at_which_it_was_signed(
    desk: Desk,
) -> None:
    intent, now = await desk.order(), await desk.store.now()
    claim = claim_of(intent, now)
    assert await desk.store.claim(desk.epoch, [claim]) == {intent.client_order_id: "claimed"}
    assert await desk.store.claimed_by_me([claim]) == {intent.client_order_id}
    again = claim_of(intent, now + timedelta(milliseconds=1))
    assert await desk.store.claimed_by_me([again]) == set()


@pytest.mark.req("ORD-7", "ORD-8")
async def test_two_in_doubt_in_one_lane_do_not_wait_for_each_other(desk: Desk) -> None:
    pair = [await desk.order("SIM001", "1"), await desk.order("SIM001", "2")]
    assert await desk.claim(*pair) == ["claimed"] * 2
    unheard = Unknown(detail="timed out")
    lost = [Told(client_order_id=i.client_order_id, attempt=1, word=unheard) for i in pair]
    await desk.store.settle(lost, settle)
    for intent in pair:
        claim = replace(claim_of(intent, await desk.store.now(), attempt=2), resend=True)
        assert await desk.store.claim(desk.epoch, [claim]) == {intent.client_order_id: "claimed"}


@pytest.mark.req("ORD-3")
async def test_an_attempt_that_failed_for_certain_may_be_made_again(desk: Desk) -> None:
    intent = await desk.sent()
    assert await desk.claim(intent, attempt=2) == ["taken"]
    again = NotPlaced(code="-1021", message="clock", retry=True)
    told = Told(client_order_id=intent.client_order_id, attempt=1, word=again)
    await desk.store.settle([told], settle)
    assert await desk.claim(intent) == ["taken"]
    assert await desk.claim(intent, attempt=2) == ["claimed"]


@pytest.mark.req("ORD-9")
async def test_what_an_earlier_boot_was_sending_is_unresolved_at_once(
    desk: Desk, authority: Authority
) -> None:
    intent = await desk.sent()
    assert await desk.store.unresolved(9) == []
    restarted = authority.trading(holder("a", start=2))
    assert [i.client_order_id for i in await restarted.unresolved(9)] == [intent.client_order_id]


@pytest.mark.req("SIG-12")
async def test_signals_of_a_lane_are_decided_in_the_order_of_their_time(desk: Desk) -> None:
    order: list[str | None] = []

    def note(logged: LoggedSignal, situation: Situation) -> Decision:
        order.append(logged.signal.order_id)
        return decide(logged, situation)

    third, first = await desk.signal("SIM001", "3"), await desk.signal("SIM001", "1", age_s=9)
    second = replace(first, order_id="2")
    await log_all(desk.log, third, first, second)
    decided = await desk.store.decide(desk.epoch, [third.lane], note, exits)
    assert order == ["1", "2", "3"]
    assert len(decided.intents) == 3
    situation = await situation_of(desk, third.lane)
    assert (situation.last_decided, len(situation.marks)) == (third.time, 1)


@pytest.mark.req("CTL-20")
async def test_a_lane_that_another_instance_decides_is_left_to_it(
    desk: Desk, authority: Authority
) -> None:
    signals = [await desk.signal(f"SIM{n:03}", "o") for n in range(30)]
    await log_all(desk.log, *signals)
    lanes = [signal.lane for signal in signals]
    other = authority.trading(B)
    mine, theirs = await asyncio.gather(
        decide_lanes(desk.store, desk.epoch, lanes),
        decide_lanes(other, desk.epoch, list(reversed(lanes))),
    )
    rest = await decide_lanes(desk.store, desk.epoch, lanes)
    ids = [intent.client_order_id for intent in (*mine, *theirs, *rest)]
    assert (len(ids), len(set(ids))) == (30, 30)


@pytest.mark.req("SIG-14")
async def test_a_signal_that_cannot_be_read_or_decided_fails_alone(desk: Desk) -> None:
    good, bad, odd = [await desk.signal("SIM001", name) for name in ("good", "bad", "odd")]
    answers = await desk.log.append([new_signal(bad, "{broken"), new_signal(odd), new_signal(good)])
    ids = [answer.signal_id for answer in answers]  # type: ignore[union-attr]

    def choosy(logged: LoggedSignal, situation: Situation) -> Decision:
        if logged.signal.order_id == "odd":
            raise Bug("a rule that breaks")
        return decide(logged, situation)

    decided = await desk.store.decide(desk.epoch, [good.lane], choosy, exits)
    assert [intent.signal_id for intent in decided.intents] == [ids[2]]
    statuses = [status for status, _ in await desk.statuses(ids)]
    assert statuses == [SignalStatus.FAILED, SignalStatus.FAILED, SignalStatus.DECIDED]


@pytest.mark.req("ORD-1")
async def test_an_action_decided_twice_fails_its_signal_and_no_other(desk: Desk) -> None:
    old = await desk.order("SIM001", "old")
    again, other = await desk.signal("SIM001", "again"), await desk.signal("SIM002", "other")
    ids = await log_all(desk.log, again, other)

    def forgetful(logged: LoggedSignal, situation: Situation) -> Decision:
        decision = decide(logged, situation)
        if logged.signal.order_id != "again":
            return decision
        return replace(decision, intents=(replace(old, signal_id=logged.id),))

    decided = await desk.store.decide(desk.epoch, [again.lane, other.lane], forgetful, exits)
    assert [intent.signal_id for intent in decided.intents] == [ids[1]]
    statuses = [status for status, _ in await desk.statuses(ids)]
    assert statuses == [SignalStatus.FAILED, SignalStatus.DECIDED]


@pytest.mark.req("IF-9")
async def test_a_position_that_was_written_meanwhile_fails_its_signal_and_no_other(
    desk: Desk,
) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    stale, other = await desk.signal("SIM001", "stale"), await desk.signal("SIM002", "other")
    ids = await log_all(desk.log, stale, other)

    def late(logged: LoggedSignal, situation: Situation) -> Decision:
        decision = decide(logged, situation)
        older = tuple(replace(position, version=1) for position in situation.here)
        return replace(decision, positions=older or decision.positions)

    decided = await desk.store.decide(desk.epoch, [stale.lane, other.lane], late, exits)
    assert [intent.signal_id for intent in decided.intents] == [ids[1]]
    statuses = [status for status, _ in await desk.statuses(ids)]
    assert statuses == [SignalStatus.FAILED, SignalStatus.DECIDED]


@pytest.mark.req("SIG-12")
async def test_a_lane_that_must_wait_says_so_and_writes_nothing(desk: Desk) -> None:
    signal = await desk.signal("SIM001", "o")
    (signal_id,) = await log_all(desk.log, signal)
    decided = await desk.store.decide(desk.epoch, [signal.lane], lambda *_: WAIT, exits)
    assert (decided.waiting, decided.intents, decided.ended) == ((signal.lane,), (), ())
    assert await desk.statuses([signal_id]) == [(SignalStatus.RECEIVED, None)]


@pytest.mark.req("ORD-2")
async def test_a_lane_with_more_than_a_turns_signals_comes_again(desk: Desk) -> None:
    signals = [await desk.signal("SIM001", f"o{n}") for n in range(20)]
    await log_all(desk.log, *signals)
    lane = signals[0].lane
    first = await desk.store.decide(desk.epoch, [lane], decide, exits)
    second = await desk.store.decide(desk.epoch, first.again, decide, exits)
    assert (first.again, second.again) == ((lane,), ())
    assert len(first.intents) + len(second.intents) == 20


async def test_nothing_told_claimed_or_asked_is_nothing_done(desk: Desk) -> None:
    assert (await desk.store.settle([], settle)).intents == ()
    assert await desk.store.claim(desk.epoch, []) == {}
    assert (await desk.store.decide(desk.epoch, [], decide, exits)).intents == ()
    assert await desk.store.lanes_with_work(9) == []


@pytest.mark.req("ORD-8", "PF-12")
async def test_an_exit_overtakes_any_number_of_entries_that_wait(desk: Desk) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    entries = [await desk.signal("SIM001", f"o{n}") for n in range(40)]
    await log_all(desk.log, *entries, close("SIM001", await desk.store.now(), "out"))

    def doubtful(logged: LoggedSignal, situation: Situation) -> Decision:
        return WAIT if logged.signal.may_add_exposure else decide(logged, situation)

    decided = await desk.store.decide(desk.epoch, [held.lane], doubtful, exits)
    assert [intent.action for intent in decided.intents] == ["close"]
    assert (decided.waiting, decided.again) == ((held.lane,), ())


@pytest.mark.req("SIG-12")
async def test_an_exit_does_not_overtake_entries_that_need_not_wait(desk: Desk) -> None:
    entries = [await desk.signal("SIM001", f"o{n}") for n in range(20)]
    await log_all(desk.log, *entries, close("SIM001", await desk.store.now(), "out"))
    order: list[str | None] = []

    def note(logged: LoggedSignal, situation: Situation) -> Decision:
        order.append(logged.signal.order_id)
        return Decision(status=SignalStatus.IGNORED)

    again = (await desk.store.decide(desk.epoch, [entries[0].lane], note, exits)).again
    await desk.store.decide(desk.epoch, again, note, exits)
    assert order == [*(f"o{n}" for n in range(20)), "out"]


@pytest.mark.req("CTL-1", "CTL-6", "CTL-11")
@pytest.mark.parametrize("way", ["force", "transfer"])
async def test_nothing_of_an_epoch_that_was_taken_or_given_away_commits(
    authority: Authority, way: str
) -> None:
    old, new = holder("old"), holder("new")
    epoch = await lead(authority, old)
    trading = authority.trading(old)
    if way == "force":
        await authority.leases(new).force("leader", epoch, new, TTL_MS)
    else:
        leases = authority.leases(old)
        await leases.transfer("leader", epoch, old, new, ttl_ms=TTL_MS, reason="takeover")
    with pytest.raises(Fenced):
        await decide_lanes(trading, epoch, [Lane("main/BTCUSDT")])


@pytest.mark.req("ORD-3", "PF-22")
async def test_an_order_is_sent_for_what_the_store_wants_now_or_not_at_all(desk: Desk) -> None:
    intent = await desk.order()
    more = replace(intent, order=replace(intent.order, quantity=intent.order.quantity + 1))
    assert await desk.claim(more) == ["taken"]
    assert await desk.claim(intent) == ["claimed"]


@pytest.mark.req("PF-22")
async def test_an_order_that_follows_its_price_keeps_where_it_stands(desk: Desk) -> None:
    intent = await desk.order()
    limit = replace(intent.order, order_type=OrderType.LIMIT, price=Decimal(100))
    priced = replace(intent, order=limit, chase=Chase(first_price=Decimal(100), steps_max=3))
    assert await desk.claim(priced) == ["claimed"]
    (sent,) = await desk.store.nameless(9)
    assert (sent.order.order_type, sent.order.price) == (OrderType.LIMIT, 100)
    assert sent.chase is not None
    assert (sent.chase.first_price, sent.chase.steps_max, sent.chase.step) == (100, 3, 0)
    assert sent.chase.since is not None
    open_order = OrderReport(broker_order_id="7", status=OrderStatus.OPEN)
    word = Told(client_order_id=intent.client_order_id, attempt=1, word=Placed(report=open_order))
    await desk.store.settle([word], settle)
    assert [order.client_order_id for order in await desk.store.chased(9)] == [
        intent.client_order_id
    ]
    step = ChaseStep(client_order_id=intent.client_order_id, step=2)
    decision = Decision(status=SignalStatus.DECIDED, chased=(step,))
    await desk.store.decide(desk.epoch, [intent.lane], decide, lambda situation: decision)
    (stepped,) = await desk.store.chased(9)
    assert stepped.chase == replace(sent.chase, step=2)
