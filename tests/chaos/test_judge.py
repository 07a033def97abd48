"""The judge is shown one wrong thing after the other, and complains of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chaos.judge import (
    Evidence,
    acted_out_of_turn,
    doubled,
    idle_lanes,
    lost,
    reigned_badly,
    unclaimed,
    unlike_the_positions,
)
from chaos.strain import Strain

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def evidence() -> Evidence:
    """One alert, traded once by the first of two leaders; and nothing wrong about it."""
    signal = {
        "id": 1,
        "lane": "main/SIM001",
        "processing_status": "executed",
        "reason": None,
        "received_at": at(1),
        "body": '{"action": "buy", "contracts": 2}',
    }
    order = {"client_order_id": "o", "received_at": at(2.2).isoformat()}
    execution = {"client_order_id": "o", "symbol": "SIM001", "side": "BUY", "quantity": "2"}
    intent = {
        "client_order_id": "o",
        "signal_id": 1,
        "state": "FILLED",
        "symbol": "SIM001",
        "lane": "main/SIM001",
    }
    attempt = {
        "client_order_id": "o",
        "attempt": 1,
        "epoch": 7,
        "instance": "a",
        "claimed_at": at(2),
        "outcome": "placed",
    }
    event = {"signal_id": 1, "at": at(2), "status": "executing", "instance": "a", "epoch": 7}
    reign = {"resource": "leader", "epoch": 7, "instance": "a", "boot": "A", "became_at": at(0)}
    ended = {**reign, "released_at": at(9), "end_reason": "failover"}
    last = {**reign, "epoch": 8, "instance": "b", "boot": "B", "became_at": at(9)}
    lease = {"resource": "leader", "epoch": 8, "holder": "b", "boot": "B"}
    leg = {"symbol": "SIM001", "bought_quantity": Decimal(2), "sold_quantity": Decimal(0)}
    return Evidence(
        orders=[order],
        executions=[execution],
        signals=[signal],
        events=[event],
        intents=[intent],
        attempts=[attempt],
        reigns=[ended, {**last, "released_at": None, "end_reason": None}],
        leases=[lease],
        legs=[leg],
    )


def complaints(seen: Evidence) -> list[str]:
    return [
        *doubled(seen),
        *lost(seen, {1}),
        *unclaimed(seen),
        *unlike_the_positions(seen),
        *reigned_badly(seen),
        *acted_out_of_turn(seen),
        *idle_lanes(seen, 2.0),
    ]


def wrong(table: str, **fields: Any) -> Callable[[Evidence], Evidence]:
    """The first row of the table says this instead."""

    def change(seen: Evidence) -> Evidence:
        first, *rest = getattr(seen, table)
        return replace(seen, **{table: [{**first, **fields}, *rest]})

    return change


def gone(table: str) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, **{table: getattr(seen, table)[1:]})


def twice(table: str) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, **{table: [*getattr(seen, table), getattr(seen, table)[0]]})


@pytest.mark.req("Q-1")
def test_the_judge_has_nothing_to_say_where_nothing_is_wrong() -> None:
    assert complaints(evidence()) == []


@pytest.mark.req("Q-1")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (twice("orders"), "executed 2 times"),
        (twice("executions"), "asked for 2 and traded 4"),
        (wrong("executions", client_order_id="x"), "nobody wanted"),
        (gone("executions"), "traded 0 of 2"),
        (gone("signals"), "acknowledged and is not logged"),
        (wrong("signals", processing_status="executing"), "still executing"),
        (wrong("signals", processing_status="expired"), "is expired"),
        (wrong("signals", processing_status="rejected"), "is rejected, and traded 2"),
        (gone("attempts"), "without a claim"),
        (wrong("attempts", claimed_at=at(3)), "before its claim"),
        (wrong("legs", bought_quantity=Decimal(1)), "1 booked, 2 at the exchange"),
        (wrong("reigns", epoch=6), "after epoch 6 the history has 8"),
        (wrong("reigns", released_at=None), "has no end"),
        (wrong("reigns", released_at=at(10)), "overlap"),
        (wrong("leases", epoch=9), "the lease is at epoch 9"),
        (wrong("leases", boot="C"), "not by the history"),
        (wrong("attempts", instance="b"), "which was not its"),
        (wrong("attempts", claimed_at=at(10)), "after epoch 8 began"),
        (wrong("events", at=at(10)), "after epoch 8 began"),
        (wrong("events", at=at(4)), "waited 3.00 s for anybody"),
    ],
)
def test_the_judge_complains_of_each_wrong_thing(
    spoil: Callable[[Evidence], Evidence], words: str
) -> None:
    found = complaints(spoil(evidence()))
    assert any(words in complaint for complaint in found), found


@pytest.mark.req("Q-1")
def test_an_answer_that_never_came_excuses_its_own_order_and_nothing_else_in_its_lane() -> None:
    seen = wrong("attempts", outcome=None)(evidence())
    (signal,), (began,) = seen.signals, seen.events
    ended = {**began, "at": at(7), "status": "executed"}
    waiting = replace(seen, events=[began, ended])
    assert list(idle_lanes(waiting)) == []
    second = {**signal, "id": 2, "received_at": at(1.5)}
    later = [
        {**began, "signal_id": 2, "at": moment, "status": status}
        for status, moment in (("decided", at(3)), ("executing", at(8)), ("executed", at(8.1)))
    ]
    both = replace(waiting, signals=[signal, second], events=[began, ended, *later])
    assert list(idle_lanes(both)) == []
    later[1]["at"] = later[2]["at"] = at(9.5)
    both = replace(waiting, signals=[signal, second], events=[began, ended, *later])
    assert list(idle_lanes(both)) == ["lane main/SIM001: signal 2 waited 2.50 s for anybody"]


@pytest.mark.req("Q-1")
def test_a_lane_may_wait_as_much_longer_as_the_machine_had_no_time_and_no_longer() -> None:
    seen = wrong("events", at=at(4))(evidence())  # three seconds after it was received
    machine = Strain([at(n).timestamp() for n in (0, 2, 3, 9)], [0.0, 0.0, 0.75, 0.75])
    assert (machine.between(at(1), at(2.5)), machine.between(at(3), at(20))) == (0.375, 0.0)
    assert list(idle_lanes(seen, 2.3, machine.between)) == []
    assert list(idle_lanes(seen, 2.2, machine.between)) == [
        "lane main/SIM001: signal 1 waited 2.25 s for anybody"
    ]
