"""The demonstration's judgement, and what it plays."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import pytest

from onefill.cli.client import dumps
from onefill.cli.demo.duration import seconds
from onefill.cli.demo.feed import FIRST, walked
from onefill.cli.demo.script import CUES, cues, signal_of
from onefill.cli.demo.summary import judge
from onefill.cli.errors import Usage
from onefill.core.defaults import INSTRUMENTS
from onefill.core.intake.parse import Valid, parse
from onefill.core.intake.signal_time import Zones

NOW = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
SIGNALS = [{"id": 1, "status": "executed"}, {"id": 2, "status": "blocked"}]
ORDER = {"broker_order_id": "77", "filled_quantity": "5"}


def test_all_is_well_when_the_ledger_holds_what_was_booked() -> None:
    verdict = judge({1, 2}, SIGNALS, [ORDER], [ORDER])
    assert (verdict.is_clean, verdict.orders) == (True, 1)


@pytest.mark.req("OPS-5")
def test_an_execution_that_nobody_booked_is_a_duplicate() -> None:
    second = {"broker_order_id": 78, "filled_quantity": 5}
    verdict = judge({1, 2}, SIGNALS, [ORDER], [ORDER, second])
    assert len(verdict.duplicates) == 1
    assert not verdict.is_clean


@pytest.mark.req("OPS-5")
def test_a_signal_without_an_end_and_a_fill_that_the_venue_lacks_are_missed() -> None:
    open_signal = [{"id": 1, "status": "decided"}]
    verdict = judge({1, 3}, open_signal, [ORDER], [])
    assert len(verdict.missed) == 3


def test_an_order_that_was_never_filled_counts_nowhere() -> None:
    unfilled = {"broker_order_id": None, "filled_quantity": "0"}
    assert judge(set(), [], [unfilled], []).orders == 0


def test_every_signal_of_the_script_is_one_that_intake_takes() -> None:
    zones = Zones.named({name: each.zone for name, each in INSTRUMENTS.items()})
    for number, cue, _ in islice(cues(), len(CUES)):
        body = dumps(signal_of(number, cue, FIRST, NOW))
        read = parse(body, now=NOW, zones=zones)
        assert isinstance(read, Valid), (cue, read)
        assert read.signal.unknown_fields == ()


def test_prices_walk_on_their_ticks_and_never_far_in_a_step() -> None:
    price = FIRST["GOLD_MINI"]
    for n in range(300):
        after = walked("GOLD_MINI", price, n)
        assert after % 1 == 0
        assert abs(after - price) < price * Decimal("0.002")
        price = after
    assert price != FIRST["GOLD_MINI"]


@pytest.mark.parametrize(("text", "value"), [("60s", 60), ("2m", 120), ("1h", 3600), ("90", 90)])
def test_a_duration_is_read(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0s", "soon", "5 days"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        seconds(text)
