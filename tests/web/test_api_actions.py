"""What operators do, and the trace that it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support import until
from web.rows import add_orders


@pytest.mark.req("SIG-18", "IF-2")
async def test_a_pause_is_durable_and_tells_who_when_from_where(pool: Any, operator: Any) -> None:
    answer = (await operator.post("/api/trading/pause", json={"note": "holiday"})).json()
    assert (answer["paused"], answer["by"], answer["changed"]) == (True, "operator", True)
    assert await pool.fetchval("SELECT value FROM settings WHERE key = 'trading_paused'") == "true"
    status = (await operator.get("/api/status")).json()
    assert (status["paused"], status["paused_at"]) == (True, answer["at"])
    (row,) = (await operator.get("/api/audit")).json()["items"]
    assert (row["actor"], row["address"], row["action"]) == (
        "operator",
        "10.0.0.9",
        "trading.pause",
    )
    assert row["details"] == {"note": "holiday", "changed": True, "exits": False}
    assert (await operator.post("/api/trading/resume")).json()["paused"] is False
    assert await pool.fetchval("SELECT value FROM settings WHERE key = 'trading_paused'") == "false"
    assert (await operator.get("/api/status")).json()["paused"] is False


@pytest.mark.req("CTL-9", "SIG-18")
async def test_exits_rest_only_when_a_person_says_so_and_until_one_says_otherwise(
    operator: Any,
) -> None:
    async def shown() -> tuple[bool, bool]:
        status = (await operator.get("/api/status")).json()
        return status["paused"], status["exits_paused"]

    assert await shown() == (False, False)
    everything = (await operator.post("/api/trading/pause", json={"exits": True})).json()
    assert (everything["paused"], everything["exits_paused"]) == (True, True)
    assert await shown() == (True, True)
    entries = (await operator.post("/api/trading/pause")).json()
    assert (entries["exits_paused"], entries["changed"]) == (False, True)
    assert await shown() == (True, False)
    await operator.post("/api/trading/pause", json={"exits": True})
    resumed = (await operator.post("/api/trading/resume")).json()
    assert (resumed["paused"], resumed["exits_paused"], resumed["changed"]) == (False, False, True)
    assert await shown() == (False, False)


@pytest.mark.req("SIG-18")
async def test_a_second_pause_keeps_since_when_trading_rests(pool: Any, operator: Any) -> None:
    first = (await operator.post("/api/trading/pause")).json()
    again = (await operator.post("/api/trading/pause")).json()
    assert again == {**first, "changed": False}
    assert await pool.fetchval("SELECT count(*) FROM audit_log") == 2


@pytest.mark.req("IF-2")
async def test_an_action_that_leaves_no_trace_does_not_happen(pool: Any, operator: Any) -> None:
    await pool.execute("ALTER TABLE audit_log ADD CONSTRAINT full_disk CHECK (false)")
    assert (await operator.post("/api/trading/pause")).status_code == 500
    assert await pool.fetchval("SELECT count(*) FROM settings") == 0


@pytest.mark.req("SIG-20")
async def test_a_replay_gets_a_portfolio_of_its_own(pool: Any, operator: Any) -> None:
    wanted = {"sizing": "signal", "time_basis": "signal"}
    answer = await operator.put("/api/portfolios/replay", json=wanted)
    assert answer.json() == {**wanted, "initial_capital": "5000000"}
    portfolio = (await operator.get("/api/portfolio", params={"portfolio": "replay"})).json()
    assert (portfolio["sizing"], portfolio["closed_equity"]) == ("signal", "5000000")
    wanted = {"sizing": "own", "time_basis": "signal", "initial_capital": "5000000.00"}
    assert (await operator.put("/api/portfolios/replay", json=wanted)).json()["sizing"] == "own"
    (changed, made) = (await operator.get("/api/audit")).json()["items"]
    assert (made["details"]["before"], made["details"]["refused"]) == (None, None)
    assert changed["details"]["before"]["sizing"] == "signal"
    assert changed["details"]["wanted"]["sizing"] == "own"


@pytest.mark.req("ORD-14", "PF-5")
async def test_live_portfolios_and_existing_capital_are_not_edited(
    pool: Any, operator: Any
) -> None:
    keep = {"sizing": "own", "time_basis": "now", "initial_capital": "100"}
    assert (await operator.put("/api/portfolios/main", json=keep)).status_code == 200
    answer = await operator.put("/api/portfolios/main", json={**keep, "initial_capital": 200})
    assert (answer.status_code, answer.json()["reason"]) == (409, "capital_is_a_ledger")
    await add_orders(pool, "SIM001", 1, venue="live")
    answer = await operator.put("/api/portfolios/main", json={**keep, "sizing": "signal"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "live_orders")
    assert (await operator.put("/api/portfolios/main", json=keep)).status_code == 200
    row = await pool.fetchrow("SELECT sizing, initial_capital FROM portfolio_state")
    assert tuple(row) == ("own", 100)
    refusals = await pool.fetch("SELECT details::json ->> 'refused' FROM audit_log ORDER BY id")
    assert [row[0] for row in refusals] == [None, "CAPITAL_IS_A_LEDGER", "LIVE_ORDERS", None]


@pytest.mark.req("IF-9")
async def test_a_change_of_settings_waits_for_the_decision_under_way(
    pool: Any, operator: Any
) -> None:
    wanted = {"sizing": "own", "time_basis": "now"}
    await operator.put("/api/portfolios/main", json=wanted)
    async with pool.acquire() as decider, decider.transaction():
        await decider.execute("SELECT FROM portfolio_state FOR UPDATE")
        wanted["sizing"] = "signal"
        change = asyncio.create_task(operator.put("/api/portfolios/main", json=wanted))
        await until(lambda: pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await add_orders(decider, "SIM001", 1, venue="live")
    assert (await change).status_code == 409
