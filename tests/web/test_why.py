"""Why a signal traded, or did not: everything that is known, in words and numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from onefill.web.api import examples
from onefill.web.why import explain
from web.rows import TRADE, add_signals


@pytest.mark.req("SIG-22", "PF-13")
async def test_the_page_tells_arrival_numbers_orders_fills_and_times(
    pool: Any, viewer: Any
) -> None:
    await pool.execute(TRADE)
    told = (await viewer.get("/api/signals/1/why")).json()
    page = "\n".join(told["lines"])
    assert told["answer"] == "It was executed."
    for part in (
        "BASE_ENTRY of GOLD_MINI at 78500.1",
        "dev received it at 2026-01-05 09:15:00.120000 UTC, 120 ms after its own time",
        "no earlier signal had its fingerprint",
        "+10 ms: decided, by prod in epoch 7",
        "risk_lots = 3.04, volatility_lots = 2.22",
        "limited by the volatility allowed for one trade",
        "BUY 200 GOLDM05FEB26FUT at market, paper: FILLED",
        "attempt 1 by prod",
        "filled 150 at 78503.3333",
        "entered at 78502.5, 2.5 points worse than the 78500 that it was decided at: ₹50 on 2 lots",
        "It took 10 ms to decide and 70 ms from there to its end.",
    ):
        assert part in page


def test_a_conditional_order_is_told_with_its_trigger_price() -> None:
    (told, *_) = examples.SIGNAL_STORY.orders
    order = replace(told.order, order_type="STOP_MARKET", trigger_price=Decimal("78000.5"))
    story = replace(examples.SIGNAL_STORY, orders=(replace(told, order=order),))
    assert "GOLDM05FEB26FUT as stop market at 78000.5" in "\n".join(explain(story).lines)


@pytest.mark.req("SIG-22")
async def test_a_refusal_comes_with_its_remedy(pool: Any, viewer: Any) -> None:
    await add_signals(pool, "SIM001", 1, "blocked")
    await pool.execute(
        "UPDATE signal_log SET reason = 'one_r', duplicates = 2,"
        " last_duplicate_layer = 'constraint'"
    )
    told = (await viewer.get("/api/signals/1/why")).json()
    assert told["answer"].startswith("It was blocked. Reason: one_r. The base has not gained more")
    page = "\n".join(told["lines"])
    assert "It came 2 more times" in page
    assert "recognised by the log itself" in page
    assert (await viewer.get("/api/signals/99/why")).status_code == 404


@pytest.mark.req("SIG-22")
@pytest.mark.parametrize("status", ["received", "decided", "executing", "in_doubt", "failed"])
def test_every_status_has_words(status: str) -> None:
    story = examples.SIGNAL_STORY
    signal = replace(story.signal, status=status, decided_at=None, ended_at=None)
    assert explain(replace(story, signal=signal)).answer.startswith(("It", "What"))


@pytest.mark.req("SIG-22", "PF-13")
def test_it_says_what_the_size_rests_on_and_an_entry_just_at_its_price() -> None:
    story = examples.SIGNAL_STORY
    payload = {"position": "Long_1", "price": "78500", "stop": "77800", "atr": "450", "er": "0.85"}
    (position, *_) = story.positions
    entered = replace(position, entry_price=Decimal(78500), signal_price=Decimal(78500))
    signal = replace(story.signal, duplicates=1)
    told = replace(story, signal=signal, payload=payload, positions=(entered,))
    page = "\n".join(explain(told).lines)
    assert "at 78500, stop 77800, ATR 450, efficiency 0.85, in main." in page
    assert "It was entered at 78500, just as it was decided." in page
    assert "It came once more" in page
