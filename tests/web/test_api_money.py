"""Statistics, capital, and closing by hand, through the real API over a real database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI

from onefill.core.intake.parse import read
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import SignalKind
from onefill.web.tokens import Tokens
from web.conftest import OPERATOR, api_with, client_of
from web.rows import TRADE

_CLOSED = """
INSERT INTO order_intents
    (client_order_id, lane, portfolio, instrument, position_id, source, leg, action, n, verb,
     broker, account, venue, symbol, exchange, side, quantity, order_type, reduce_only,
     adds_exposure, state, filled_quantity, filled_value)
VALUES ('of2', 'main/GOLD_MINI', 'main', 'GOLD_MINI', 'p1', 'p1', 'fut', 'close', 1, 'place',
        'openalgo', 'paper', 'paper', 'GOLDM05FEB26FUT', 'MCX', 'SELL', 200, 'MARKET', true, false,
        'FILLED', 200, 15720500);
INSERT INTO fills (client_order_id, cumulative_quantity, position_id, broker, account, symbol, side,
                   quantity, value, price, booked_at)
VALUES ('of2', 200, 'p1', 'openalgo', 'paper', 'GOLDM05FEB26FUT', 'SELL', 200, 15720500, 78602.5,
        clock_timestamp());
UPDATE portfolio_positions
SET status = 'closed', closed_at = now(), initial_stop = 77802.5, realised_pnl = 2000;
"""


@pytest.mark.req("PF-13", "PF-14", "IF-1")
async def test_statistics_and_equity_come_from_the_fills(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    before = (await viewer.get("/api/statistics")).json()["figures"]["ALL"]
    assert (before["trades"], before["open_trades"]) == (0, 1)
    await pool.execute(_CLOSED)
    # A stored profit that is wrong changes nothing: only fills count.
    await pool.execute("UPDATE portfolio_positions SET realised_pnl = 777777")
    figures = (await viewer.get("/api/statistics", params={"portfolio": "main"})).json()["figures"]
    assert figures["GOLD_MINI"] == figures["ALL"]
    assert figures["ALL"]["profit"] == "2000"  # (15,720,500 - 15,700,500) at 0.1
    assert figures["ALL"]["expectancy_r"] == "0.1429"  # one R is (78502.5 - 77802.5) · 2 · 10
    curve = (await viewer.get("/api/equity")).json()
    assert [point["equity"] for point in curve["points"]] == ["5000999.5"]
    missing = await viewer.get("/api/statistics", params={"portfolio": "nobody"})
    assert missing.status_code == 404


@pytest.mark.req("PF-13", "PF-14")
async def test_an_order_costs_its_fee_once_in_how_many_parts_it_may_fill(
    pool: Any, viewer: Any
) -> None:
    await pool.execute(TRADE)  # bought in two parts
    await pool.execute(_CLOSED)
    await pool.execute(
        "UPDATE position_legs SET cost_per_order = 20, buy_cost_percent = 0.03, "
        "sell_cost_percent = 0.13"
    )
    figures = (await viewer.get("/api/statistics")).json()["figures"]["ALL"]
    costs = 2 * 20 + Decimal("1570050") * Decimal("0.0003") + Decimal("1572050") * Decimal("0.0013")
    assert Decimal(figures["costs"]) == costs
    assert Decimal(figures["profit"]) == 2000 - costs


@pytest.mark.req("PF-14", "PF-24")
async def test_of_a_rolled_position_one_r_is_measured_from_its_very_first_entry(
    pool: Any, viewer: Any
) -> None:
    await pool.execute(TRADE)
    await pool.execute(_CLOSED)
    # 300 points were gained before it was rolled; its initial stop has moved by the basis.
    await pool.execute("UPDATE portfolio_positions SET carried_points = 300")
    figures = (await viewer.get("/api/statistics")).json()["figures"]["ALL"]
    assert figures["expectancy_r"] == "0.25"  # 2000 of (78502.5 - 300 - 77802.5) · 2 · 10


@pytest.mark.req("PF-14", "SIG-20")
async def test_a_replays_curve_is_drawn_over_the_time_that_it_replays(
    pool: Any, viewer: Any
) -> None:
    await pool.execute(TRADE)
    await pool.execute(_CLOSED)
    by_the_clock = (await viewer.get("/api/equity")).json()["points"]
    assert not by_the_clock[0]["at"].startswith("2026-01-05T09:15:00Z")
    await pool.execute("UPDATE portfolio_state SET time_basis = 'signal'")
    points = (await viewer.get("/api/equity")).json()["points"]
    assert [point["at"] for point in points] == ["2026-01-05T09:15:00Z"]
    assert points[0]["equity"] == by_the_clock[0]["equity"]
    figures = (await viewer.get("/api/statistics")).json()["figures"]["ALL"]
    assert (figures["trades"], figures["exposure_percent"]) == (1, "0")


@pytest.mark.req("PF-5", "IF-2")
async def test_a_movement_is_a_line_in_the_ledger_and_books_once(pool: Any, operator: Any) -> None:
    await pool.execute(TRADE)
    body = {"amount": "-1000.50", "note": "tax", "reference": "2026-q1"}
    first = (await operator.post("/api/capital", json=body)).json()
    assert (first["closed_equity"], first["equity_high"]) == ("4998999.5", "4998999.5")
    assert (await operator.post("/api/capital", json=body)).json() == first
    rows = await pool.fetch("SELECT amount, note, actor, reference FROM capital_ledger")
    assert [(str(r[0]), *r[1:]) for r in rows] == [("-1000.50", "tax", "operator", "2026-q1")]
    assert await pool.fetchval("SELECT initial_capital FROM portfolio_state") == 4998999.5
    too_much = await operator.post("/api/capital", json={"amount": "-99999999"})
    assert (too_much.status_code, too_much.json()["reason"]) == (409, "more_than_there_is")
    nobody = await operator.post("/api/capital", json={"amount": "1", "portfolio": "nobody"})
    assert (nobody.status_code, nobody.json()["reason"]) == (409, "no_portfolio")
    assert await pool.fetchval("SELECT count(*) FROM audit_log WHERE action = 'capital.move'") == 4


@pytest.mark.req("PF-12", "IF-1")
async def test_closing_by_hand_logs_an_exit_that_the_lane_decides(pool: Any, operator: Any) -> None:
    await pool.execute(TRADE)
    answer = (await operator.post("/api/positions/p1/close", json={"note": "news"})).json()
    row = await pool.fetchrow("SELECT * FROM signal_log WHERE id = $1", answer["signal_id"])
    assert (row["processing_status"], row["lane"]) == ("received", "main/GOLD_MINI")
    signal = read(row["payload"], zones=Zones.named({}))
    assert (signal.kind, signal.position) == (SignalKind.EXIT, "Long_1")
    assert (signal.reason, str(signal.price)) == ("operator: news", "78600")
    assert await pool.fetchval("SELECT actor FROM audit_log") == "operator"


@pytest.mark.req("PF-12")
async def test_only_what_is_held_can_be_closed(pool: Any, operator: Any) -> None:
    assert (await operator.post("/api/positions/p9/close")).status_code == 404
    await pool.execute(TRADE)
    await pool.execute(_CLOSED)
    answer = await operator.post("/api/positions/p1/close")
    assert (answer.status_code, answer.json()["reason"]) == (409, "closed")


@pytest.mark.req("IF-1")
async def test_an_instance_that_is_not_active_names_the_one_that_is(pool: Any) -> None:
    standby: FastAPI = api_with(
        pool, Tokens(operator=OPERATOR, viewer=""), instance="dev", is_active=False
    )
    await pool.execute(
        "INSERT INTO leases VALUES ('leader', 7, 'prod', gen_random_uuid(), false,"
        " now() + interval '1 hour', now())"
    )
    async with client_of(standby, OPERATOR) as client:
        answer = await client.post("/api/positions/p1/close")
    assert (answer.status_code, answer.json()["active_instance"]) == (409, "prod")
