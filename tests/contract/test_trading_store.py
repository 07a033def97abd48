"""The contract of ports.trading.TradingStore, with the product's own rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from onefill.core.book import WAIT, Decision, Situation
from onefill.core.errors import Bug, Fenced
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.report import NotPlaced, Unknown
from onefill.core.settlement import LaneBooks, Settlement, Told, settle
from onefill.core.signal import LoggedSignal, Signal, SignalStatus
from onefill.ports.trading import TradingStore
from support import until
from trading_support import (
    TTL_MS,
    Authority,
    buy,
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


class Desk:
    """One instance that leads, with its stores."""

    def __init__(self, authority: Authority, store: TradingStore, epoch: Epoch) -> None:
        self.authority = authority
        self.store = store
        self.epoch = epoch
        self.log = authority.signals(A)

    async def signal(self, instrument: str, order_id: str, age_s: float = 0) -> Signal:
        """A buy of one, of that age."""
        moment = await self.store.now() - timedelta(seconds=age_s)
        return buy(instrument, moment, order_id)

    async def order(self, instrument: str = "SIM001", order_id: str = "o") -> OrderIntent:
        """A decided order."""
        signal = await self.signal(instrument, order_id)
        await log_all(self.log, signal)
        (intent,) = await decide_lanes(self.store, self.epoch, [signal.lane])
        return intent

    async def claim(self, *intents: OrderIntent, attempt: int = 1) -> list[str]:
        """Claim them; the verdicts in that order."""
        now = await self.store.now()
        claims = [claim_of(intent, now, attempt) for intent in intents]
        verdicts = await self.store.claim(self.epoch, claims)
        return [verdicts[intent.client_order_id] for intent in intents]

    async def sent(self, instrument: str = "SIM001", order_id: str = "o") -> OrderIntent:
        """An order that is claimed."""
        intent = await self.order(instrument, order_id)
        assert await self.claim(intent) == ["claimed"]
        return intent

    async def statuses(self, ids: Sequence[int]) -> list[tuple[SignalStatus, str | None]]:
        """How far these signals have come."""
        progress = await self.log.progress(ids)
        return [(progress[name].status, progress[name].reason) for name in ids]


@pytest.fixture
async def desk(authority: Authority) -> Desk:
    """An instance that leads."""
    return Desk(authority, authority.trading(A), await lead(authority, A))


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


async def situation_of(desk: Desk, lane: Lane) -> Situation:
    """What the next decision in that lane sees."""
    seen: list[Situation] = []

    def look(logged: LoggedSignal, situation: Situation) -> Decision:
        seen.append(situation)
        return WAIT

    signal = await desk.signal(lane.partition("/")[2], f"look {await desk.store.now()}")
    await log_all(desk.log, signal)
    await desk.store.decide(desk.epoch, [lane], look, exits)
    return seen[0]


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


@pytest.mark.req("ORD-4")
async def test_evidence_of_a_past_epoch_is_written_all_the_same(
    desk: Desk, authority: Authority
) -> None:
    intent = await desk.sent()
    assert await authority.leases(A).release("leader", desk.epoch, A)
    assert await authority.leases(B).acquire("leader", desk.epoch, B, TTL_MS)
    settled = await desk.store.settle([filled(intent)], settle)
    assert [i.state for i in settled.intents] == [IntentState.FILLED]


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
    signal = await desk.signal("SIM001", "o", age_s=59)
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
    await desk.authority.pause(True)
    assert await desk.claim(entry, leaving) == ["paused", "claimed"]
    await desk.authority.pause(False)
    assert await desk.claim(entry) == ["claimed"]


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


@pytest.mark.req("ORD-10")
async def test_fills_count_once_however_often_they_are_told(desk: Desk) -> None:
    signal = replace(await desk.signal("SIM001", "o"), quantity=Decimal(5))
    await log_all(desk.log, signal)
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    await desk.claim(intent)
    part, whole = filled(intent, quantity=Decimal(2)), filled(intent)
    for words in ([part], [part, part], [whole, part], [whole], [part]):
        await desk.store.settle(words, settle)
    (position,) = (await situation_of(desk, signal.lane)).here
    assert (position.legs[0].net, position.legs[0].bought_value) == (Decimal(5), Decimal(500))
    assert await desk.store.working(9) == []


@pytest.mark.req("ORD-10", "ORD-9")
async def test_orders_at_the_broker_are_known_by_the_brokers_id(desk: Desk) -> None:
    intent = await desk.sent()
    part = filled(intent, quantity=Decimal("0.5"))
    await desk.store.settle([part], settle)
    assert [i.client_order_id for i in await desk.store.working(9)] == [intent.client_order_id]
    name = f"b-{intent.client_order_id}"
    known = await desk.store.known_orders(intent.order.broker, [name, "a stranger"])
    assert known == {name: intent.client_order_id}


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


@pytest.mark.req("ORD-4")
async def test_the_venues_word_wins_over_a_signal_that_had_failed(desk: Desk) -> None:
    intent = await desk.sent()
    assert intent.signal_id is not None
    refused = NotPlaced(code="-2010", message="no")
    told = Told(client_order_id=intent.client_order_id, attempt=1, word=refused)
    await desk.store.settle([told], settle)
    assert await desk.statuses([intent.signal_id]) == [(SignalStatus.FAILED, "-2010: no")]
    settled = await desk.store.settle([filled(intent)], settle)
    assert await desk.statuses([intent.signal_id]) == [(SignalStatus.EXECUTED, None)]
    assert len(settled.alarms) == 1
    assert (await situation_of(desk, intent.lane)).blocked == "contradiction"


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


@pytest.mark.req("ORD-4")
async def test_a_lane_that_cannot_be_settled_is_blocked_and_the_others_are_written(
    desk: Desk,
) -> None:
    bad, good = await desk.sent("SIM001", "bad"), await desk.sent("SIM002", "good")

    def choosy(books: LaneBooks, told: Sequence[Told]) -> Settlement:
        if books.intents[0].lane == bad.lane:
            raise Bug("a rule that breaks")
        return settle(books, told)

    settled = await desk.store.settle([filled(bad), filled(good)], choosy)
    assert [i.client_order_id for i in settled.intents] == [good.client_order_id]
    assert len(settled.alarms) == 1
    assert (await situation_of(desk, bad.lane)).blocked == "settlement_failed"
    healed = await desk.store.settle([filled(bad)], settle)
    assert [i.state for i in healed.intents] == [IntentState.FILLED]


async def test_a_word_about_an_unknown_order_alarms_and_changes_nothing(desk: Desk) -> None:
    intent = await desk.sent()
    stranger = replace(filled(intent), client_order_id=ClientOrderId("of000000000000000000"))
    settled = await desk.store.settle([stranger], settle)
    assert (len(settled.alarms), settled.intents) == (1, ())


@pytest.mark.req("PF-12", "ORD-8")
async def test_an_exit_that_ended_short_is_issued_again_when_it_is_due(desk: Desk) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    await log_all(desk.log, close("SIM001", await desk.store.now(), "2"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    await desk.claim(leaving)
    refused = NotPlaced(code="-2010", message="no")
    told = Told(client_order_id=leaving.client_order_id, attempt=1, word=refused)
    await desk.store.settle([told], settle)

    async def is_due() -> bool:
        return list(await desk.store.lanes_with_work(9)) == [held.lane]

    await until(is_due)
    (again,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    assert (again.n, again.order.quantity) == (2, Decimal(1))
    await desk.claim(again)
    settled = await desk.store.settle([filled(again)], settle)
    assert [status for _, status, _ in settled.signals] == [SignalStatus.EXECUTED]
    assert await desk.store.lanes_with_work(9) == []


async def test_nothing_told_claimed_or_asked_is_nothing_done(desk: Desk) -> None:
    assert (await desk.store.settle([], settle)).intents == ()
    assert await desk.store.claim(desk.epoch, []) == {}
    assert (await desk.store.decide(desk.epoch, [], decide, exits)).intents == ()
    assert await desk.store.lanes_with_work(9) == []
