"""What a person settles over the API, on real rows: verdicts, second orders, blocked lanes."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from onefill.web.tokens import Tokens
from web.conftest import OPERATOR, VIEWER, api_with, client_of

DOUBT = """
INSERT INTO portfolio_state (portfolio, initial_capital, equity_high) VALUES ('main', 1000, 1000);
INSERT INTO lanes (lane, portfolio, instrument) VALUES ('main/SIM001', 'main', 'SIM001');
INSERT INTO portfolio_positions
    (position_id, portfolio, instrument, lane, slot, status, is_base_position, opened_at, lots,
     units_per_lot, point_value, margin_per_lot)
VALUES ('p1', 'main', 'SIM001', 'main/SIM001', 'Net', 'pending', false, now(), 0, 1, 1, 0);
INSERT INTO position_legs (position_id, leg, broker, account, symbol, exchange, side, quantity,
                           multiplier)
VALUES ('p1', 'main', 'openalgo', 'paper', 'SIM001', '', 'BUY', 5, 1);
INSERT INTO order_intents
    (client_order_id, lane, portfolio, instrument, position_id, source, leg, action, n, verb,
     broker, account, venue, symbol, exchange, side, quantity, order_type, reduce_only,
     adds_exposure, state, attempt, send_by)
VALUES ('ofone0000000000000001', 'main/SIM001', 'main', 'SIM001', 'p1', 'aa', 'main', 'trade', 1,
        'place', 'openalgo', 'paper', 'paper', 'SIM001', '', 'BUY', 5, 'MARKET', false, true,
        'QUARANTINED', 1, now() - interval '2 minutes');
INSERT INTO order_attempts
    (client_order_id, attempt, instance, boot, epoch, claimed_at, signed_at, send_by, request_hash)
VALUES ('ofone0000000000000001', 1, 'prod', gen_random_uuid(), 7, now(), now(), now(), '');
"""
ORDER = "/api/orders/ofone0000000000000001"
NOT_PLACED = {"outcome": "not_placed", "note": "in no book"}


@pytest.fixture
async def doubt(pool: Any) -> None:
    """One quarantined order to buy five."""
    await pool.execute(DOUBT)


async def audited(pool: Any) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT action FROM audit_log ORDER BY id")]


@pytest.mark.req("ORD-7", "IF-1")
@pytest.mark.usefixtures("doubt")
async def test_what_a_person_saw_filled_is_booked(pool: Any, operator: Any) -> None:
    seen = {"filled_quantity": "5", "average_price": "101.5", "broker_order_id": "25011"}
    answer = await operator.post(
        f"{ORDER}/resolve", json={"outcome": "placed", "note": "it is there", **seen}
    )
    assert answer.status_code == 200, answer.text
    story = answer.json()
    assert (story["order"]["state"], story["order"]["broker_order_id"]) == ("FILLED", "25011")
    assert [fill["price"] for fill in story["fills"]] == ["101.5"]
    (leg,) = await pool.fetch("SELECT bought_quantity, bought_value FROM position_legs")
    assert (leg["bought_quantity"], leg["bought_value"]) == (5, 507.5)
    assert await pool.fetchval("SELECT details::json ->> 'note' FROM audit_log") == "it is there"


@pytest.mark.req("ORD-7", "ORD-1", "IF-2")
@pytest.mark.usefixtures("doubt")
async def test_an_order_ruled_out_is_placed_again_once_and_on_demand(
    pool: Any, operator: Any
) -> None:
    again = {"confirm": True, "note": "wanted still"}
    assert (await operator.post(f"{ORDER}/place-again", json=again)).status_code == 409
    first = await operator.post(f"{ORDER}/resolve", json=NOT_PLACED)
    assert first.json()["order"]["state"] == "NOT_PLACED"
    repeated = await operator.post(f"{ORDER}/resolve", json=NOT_PLACED)
    assert (repeated.status_code, repeated.json()["reason"]) == (409, "not_quarantined")
    assert (await operator.post(f"{ORDER}/place-again", json={"note": "x"})).status_code == 422
    new = await operator.post(f"{ORDER}/place-again", json=again)
    assert new.status_code == 200, new.text
    assert (new.json()["order"]["n"], new.json()["order"]["state"]) == (2, "NEW")
    assert await pool.fetchval("SELECT status FROM portfolio_positions") == "pending"
    twice = await operator.post(f"{ORDER}/place-again", json=again)
    assert (twice.status_code, twice.json()["reason"]) == (409, "placed_again")
    assert await pool.fetchval("SELECT count(*) FROM order_intents") == 2
    assert await audited(pool) == [
        *("order.place_again", "order.resolve", "order.resolve"),
        *("order.place_again", "order.place_again"),
    ]


@pytest.mark.req("ORD-7")
@pytest.mark.usefixtures("doubt")
async def test_placing_again_too_early_says_until_when(pool: Any, operator: Any) -> None:
    await operator.post(f"{ORDER}/resolve", json=NOT_PLACED)
    await pool.execute("UPDATE order_intents SET send_by = now() - interval '50 seconds'")
    answer = await operator.post(f"{ORDER}/place-again", json={"confirm": True, "note": "now"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_early")
    assert "60 s" in answer.json()["remedy"]


@pytest.mark.req("ORD-7")
@pytest.mark.usefixtures("doubt")
async def test_anothers_order_at_the_broker_is_not_taken(pool: Any, operator: Any) -> None:
    await pool.execute(
        'INSERT INTO order_intents SELECT (jsonb_populate_record(i, \'{"client_order_id": '
        '"other", "n": 9, "broker_order_id": "25011", "state": "FILLED"}\')).* '
        "FROM order_intents i"
    )
    seen = {"outcome": "placed", "broker_order_id": "25011", "note": "there"}
    answer = await operator.post(f"{ORDER}/resolve", json=seen)
    assert (answer.status_code, answer.json()["reason"]) == (409, "anothers_order")
    assert await pool.fetchval("SELECT state FROM order_intents WHERE n = 1") == "QUARANTINED"


@pytest.mark.req("ORD-7")
@pytest.mark.usefixtures("doubt")
async def test_an_acknowledged_order_is_silent_and_stays_quarantined(
    pool: Any, operator: Any
) -> None:
    answer = await operator.post(f"{ORDER}/acknowledge")
    assert answer.json()["order"]["state"] == "QUARANTINED"
    assert await pool.fetchval("SELECT acknowledged_by FROM order_intents") == "operator"
    assert (await operator.post("/api/orders/none/acknowledge")).status_code == 404


@pytest.mark.req("ORD-4", "IF-2")
@pytest.mark.usefixtures("doubt")
async def test_a_lane_is_unblocked_by_name_with_a_reason(pool: Any, operator: Any) -> None:
    await pool.execute("UPDATE lanes SET blocked = 'contradiction', blocked_at = now()")
    route, note = "/api/lanes/main/SIM001/unblock", {"note": "looked"}
    assert (await operator.post(route, json={})).status_code == 422
    done = await operator.post(route, json=note)
    assert done.json() == {"lane": "main/SIM001", "was": "contradiction"}
    assert await pool.fetchval("SELECT blocked FROM lanes") is None
    assert (await operator.post(route, json=note)).json()["was"] is None
    assert (await operator.post("/api/lanes/main/NONE/unblock", json=note)).status_code == 404
    assert await audited(pool) == ["lane.unblock"] * 3


@pytest.mark.req("IF-1", "IF-2")
@pytest.mark.usefixtures("doubt")
async def test_only_an_operator_and_only_on_the_active_instance(pool: Any, api: FastAPI) -> None:
    async with client_of(api, VIEWER) as viewer:
        assert (await viewer.post(f"{ORDER}/resolve", json=NOT_PLACED)).status_code == 403
    await pool.execute(
        "INSERT INTO leases (resource, epoch, holder, lease_until, acquired_at) VALUES "
        "('leader', 8, 'dev', now() + interval '1 hour', now())"
    )
    await pool.execute(
        "INSERT INTO instance_metadata (instance, boot, started_at, last_heartbeat, state, url, "
        "version) VALUES ('dev', gen_random_uuid(), now(), now(), 'ACTIVE', 'http://dev:1', '1')"
    )
    standby = api_with(pool, Tokens(operator=OPERATOR, viewer=VIEWER), is_active=False)
    async with client_of(standby, OPERATOR) as operator:
        answer = await operator.post(f"{ORDER}/resolve", json=NOT_PLACED)
    assert answer.status_code == 409
    assert (answer.json()["active_instance"], answer.json()["active_url"]) == (
        "dev",
        "http://dev:1",
    )
    assert await pool.fetchval("SELECT state FROM order_intents") == "QUARANTINED"


@pytest.mark.req("ORD-9", "IF-2")
async def test_an_accepted_order_and_a_request_to_reconcile_leave_their_trace(
    pool: Any, operator: Any
) -> None:
    order = {"broker": "binance", "account": "paper", "broker_order_id": "17"}
    route = "/api/reconciliation"
    assert (await operator.post(f"{route}/accept", json=order)).status_code == 422
    assert (await operator.post(f"{route}/run")).status_code == 404  # nothing to show yet
    await pool.execute(
        "INSERT INTO reconciliations (instance, trigger, clean, report) "
        "VALUES ('prod', 'request', true, '{}')"
    )
    for _ in range(2):
        answer = await operator.post(f"{route}/accept", json={**order, "note": "old"})
        assert (answer.status_code, answer.json()["clean"]) == (200, True)
    assert await pool.fetchval("SELECT accepted_by FROM accepted_orders") == "operator"
    assert await audited(pool) == ["reconciliation.run", *["reconciliation.accept"] * 2]
