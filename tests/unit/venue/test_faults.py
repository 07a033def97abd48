"""Which faults strike which requests, and how often."""

from __future__ import annotations

from decimal import Decimal

import pytest

from onefill.venue.clock import Dice
from onefill.venue.faults import Fault, FaultKind, Faults, read_fault
from onefill.venue.wire import Reply

PLACE = {"kind": "place", "path": "/fapi/v1/order", "symbol": "SIM001", "side": "BUY"}


def in_force(**wish: object) -> Faults:
    fault = read_fault(wish)
    assert isinstance(fault, Fault)
    faults = Faults(Dice(1))
    faults.add(fault)
    return faults


USUAL = Reply(503, b"usual")


@pytest.mark.parametrize(
    ("wish", "reply"),
    [
        ({}, USUAL),
        ({"status": 408}, Reply(408, b"usual")),
        ({"body": {"code": -1007}}, Reply(503, b'{"code":-1007}')),
        ({"status": 502, "body": "<html>"}, Reply(502, b"<html>")),
        ({"body": ""}, Reply(503, b"")),
    ],
)
def test_an_answer_is_the_usual_one_but_for_what_is_set(
    wish: dict[str, object], reply: Reply
) -> None:
    fault = read_fault({"kind": "lying_400", **wish})
    assert isinstance(fault, Fault)
    assert fault.said(USUAL) == reply


def test_next_counts_down_and_ends_the_fault() -> None:
    faults = in_force(kind="reject", next=2)
    struck = [FaultKind.REJECT in faults.strike(PLACE) for _ in range(3)]
    assert struck == [True, True, False]
    assert not faults.active


@pytest.mark.parametrize(
    ("match", "strikes"),
    [
        ({}, True),
        ({"symbol": "SIM001"}, True),
        ({"symbol": "SIM002"}, False),
        ({"symbol": "SIM001", "side": "SELL"}, False),
        ({"kind": "place"}, True),
        ({"kind": "query"}, False),
        ({"kind": "any"}, True),
        ({"path": "/fapi/v1/order"}, True),
        ({"no_such_field": "x"}, False),
    ],
)
def test_a_fault_strikes_only_what_it_matches(match: dict[str, str], strikes: bool) -> None:
    assert bool(in_force(kind="reject", match=match).strike(PLACE)) is strikes


def test_a_request_that_is_not_an_order_is_spared_unless_it_is_named() -> None:
    query = {**PLACE, "kind": "query"}
    assert not in_force(kind="stall", ms=5).strike(query)
    assert in_force(kind="stall", ms=5, match={"kind": "query"}).strike(query)


def test_a_miss_does_not_count_down() -> None:
    faults = in_force(kind="reject", next=1, match={"symbol": "SIM002"})
    faults.strike(PLACE)
    assert faults.strike({**PLACE, "symbol": "SIM002"})


def test_probability_is_kept_roughly() -> None:
    faults = in_force(kind="reject", probability=Decimal("0.25"))
    struck = sum(bool(faults.strike(PLACE)) for _ in range(2_000))
    assert 400 < struck < 600


def test_several_kinds_strike_together_and_one_kind_once() -> None:
    faults = in_force(kind="late", ms=5)
    for kind in (FaultKind.DROP_REPLY, FaultKind.LATE):
        faults.add(Fault(kind=kind, next=1))
    assert set(faults.strike(PLACE)) == {FaultKind.LATE, FaultKind.DROP_REPLY}
    assert [fault.next for fault in faults.active] == [None, 1]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"kind": "explode"},
        {"kind": "stall", "probability": 2},
        {"kind": "stall", "next": 0},
        {"kind": "stall", "ms": -1},
        {"kind": "stall", "ms": "soon"},
        {"kind": "stall", "match": "SIM001"},
        {"kind": "partial_fill"},
        {"kind": "stall", "mss": 1},
        {"kind": "stall", "status": 400},
        {"kind": "reject", "status": "soon"},
        {"kind": "reject", "status": 99},
        {"kind": "reject", "body": 5},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_the_reason(wish: dict[str, object]) -> None:
    assert isinstance(read_fault(wish), str)
