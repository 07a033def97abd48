"""What the API tells of signals, orders, positions and portfolios."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from onefill.core.intent import Side
from onefill.core.position import Leg
from onefill.keeping.legs import unrealised_of
from web.rows import TRADE, add_orders, add_positions, add_signals


async def good(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.req("IF-1", "SIG-14")
async def test_a_signal_tells_its_whole_way_from_receipt_to_fills(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    story = await good(viewer, "/api/signals/1")
    assert [step["status"] for step in story["timeline"]] == ["received", "decided", "executed"]
    assert [step["instance"] for step in story["timeline"]] == ["dev", "prod", "prod"]
    assert story["timeline"][0]["at"] == "2026-01-05T09:15:00.120000Z"
    decided = story["timeline"][1]
    assert decided["epoch"] == 7
    assert decided["numbers"]["risk_lots"] == "3.04"
    assert story["limiter"] == "volatility"
    (order,) = story["orders"]
    assert [attempt["outcome"] for attempt in order["attempts"]] == ["not_sent", "placed"]
    assert [fill["quantity"] for fill in order["fills"]] == ["50", "150"]
    assert order["fills"][1]["trade_ids"] == ["t2", "t3"]
    assert [position["position_id"] for position in story["positions"]] == ["p1"]


@pytest.mark.req("IF-1")
async def test_money_is_exact_text_never_a_binary_float(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    await pool.execute("UPDATE order_intents SET price = 0.00000001, quantity = 1e6")
    assert (await good(viewer, "/api/signals/1"))["payload"]["price"] == "78500.1"
    order = (await good(viewer, "/api/orders/of1"))["order"]
    assert (order["price"], order["quantity"]) == ("0.00000001", "1000000")
    assert order["average_price"] == "78502.5"


@pytest.mark.req("PF-5", "PF-6")
async def test_a_position_shows_its_legs_profit_and_contributions(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    position = (await good(viewer, "/api/positions/p1"))["position"]
    assert position["unrealised"] == "1950"  # (78600 - 78502.5) * 200 * 0.1
    assert (position["risk_contribution"], position["vol_contribution"]) == ("0.32", "0.18")
    (leg,) = position["legs"]
    assert (leg["net"], leg["entry_price"]) == ("200", "78502.5")


def synthetic(call: int, put: int) -> list[Leg]:
    """A Bank Nifty future of 30 units: a call bought at 400, a put sold at 150."""
    common: dict[str, Any] = {"broker": "openalgo", "account": "paper", "exchange": "NFO"}
    bought = Leg(name="ce", symbol="CE", side=Side.BUY, quantity=Decimal(30), **common)
    sold = Leg(name="pe", symbol="PE", side=Side.SELL, quantity=Decimal(30), **common)
    legs = [bought.add(Side.BUY, Decimal(30), Decimal(12000))]
    legs.append(sold.add(Side.SELL, Decimal(30), Decimal(4500)))
    if call < 30:
        legs[0] = legs[0].add(Side.SELL, Decimal(30 - call), Decimal(400 * (30 - call)))
    if put < 30:
        legs[1] = legs[1].add(Side.BUY, Decimal(30 - put), Decimal(150 * (30 - put)))
    return legs


@pytest.mark.req("PF-20", "PF-21")
@pytest.mark.parametrize(
    ("call", "put", "last", "unrealised"),
    [(30, 30, 52350, 3000), (15, 15, 52350, 1500), (30, 15, 52350, None), (0, 0, None, 0)],
)
def test_a_synthetic_future_is_priced_as_one_and_not_at_all_when_its_legs_differ(
    call: int, put: int, last: int | None, unrealised: int | None
) -> None:
    last_price = None if last is None else Decimal(last)
    assert unrealised_of(Decimal(52250), last_price, synthetic(call, put)) == unrealised


@pytest.mark.req("PF-5")
async def test_equity_is_closed_open_and_blended(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    portfolio = await good(viewer, "/api/portfolio", portfolio="main")
    assert portfolio["closed_equity"] == "5000000"
    assert portfolio["open_equity"] == "5001950"
    assert portfolio["blended_equity"] == "5000975"
    assert (portfolio["total_risk_percent"], portfolio["unpriced"]) == ("0.32", 0)


@pytest.mark.req("PF-5")
async def test_a_position_without_a_price_is_counted_not_guessed(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    await pool.execute("UPDATE portfolio_positions SET last_price = NULL")
    portfolio = await good(viewer, "/api/portfolio")
    assert (portfolio["unrealised"], portfolio["unpriced"], portfolio["positions"]) == ("0", 1, 1)
    assert (await good(viewer, "/api/positions"))["items"][0]["unrealised"] is None


@pytest.mark.req("IF-1")
async def test_open_positions_are_listed_and_closed_ones_on_request(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    await add_positions(pool, "COPPER", 2)
    listed = (await good(viewer, "/api/positions"))["items"]
    assert [row["position_id"] for row in listed] == ["p1"]
    listed = (await good(viewer, "/api/positions", closed="true", instrument="COPPER"))["items"]
    assert [row["position_id"] for row in listed] == ["COPPER2", "COPPER1"]


@pytest.mark.req("IF-1")
async def test_signals_are_filtered_by_each_field(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    await add_signals(pool, "COPPER", 3, status="failed")
    by = {
        "status": "executed",
        "kind": "BASE_ENTRY",
        "instrument": "GOLD_MINI",
        "since": "2026-01-05T09:10:00Z",
    }
    for field, value in by.items():
        rows = (await good(viewer, "/api/signals", **{field: value}))["items"]
        assert [row["id"] for row in rows] == [1], field
    rows = (await good(viewer, "/api/signals", until="2026-01-05T09:00:03Z"))["items"]
    assert [row["id"] for row in rows] == [3, 2]
    assert (await good(viewer, "/api/signals", portfolio="replay"))["items"] == []


@pytest.mark.req("IF-1")
async def test_orders_are_filtered_by_each_field(pool: Any, viewer: Any) -> None:
    await pool.execute(TRADE)
    await add_orders(pool, "SIM001", 2, state="NEW")
    by = {"state": "FILLED", "lane": "main/GOLD_MINI", "symbol": "GOLDM05FEB26FUT"}
    for field, value in by.items():
        rows = (await good(viewer, "/api/orders", **{field: value}))["items"]
        assert [row["client_order_id"] for row in rows] == ["of1"], field


PATHS = {
    "/api/signals": (add_signals, "id"),
    "/api/orders": (add_orders, "client_order_id"),
    "/api/positions": (add_positions, "position_id"),
}


@pytest.mark.req("IF-1")
@pytest.mark.parametrize("path", PATHS)
async def test_pages_neither_repeat_nor_skip_while_rows_arrive(
    pool: Any, viewer: Any, path: str
) -> None:
    add, key = PATHS[path]
    await add(pool, "OLD", 11)
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await good(viewer, path, limit=4, closed="true", **cursor)
        seen += [row[key] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        await pool.execute("UPDATE order_intents SET updated_at = clock_timestamp()")
        if len(seen) == 4:
            await add(pool, "Later", 5) if key == "id" else None
            await _add_newer(pool, path)
    whole = await good(viewer, path, limit=500, closed="true", **_old(path))
    assert seen == [row[key] for row in whole["items"]]
    assert len(seen) == 11


async def _add_newer(pool: Any, path: str) -> None:
    if path == "/api/orders":
        await add_orders(pool, "NEWER", 5)
        await pool.execute("UPDATE order_intents SET created_at = now() WHERE symbol = 'NEWER'")
    elif path == "/api/positions":
        await add_positions(pool, "NEWER", 5)
        await pool.execute(
            "UPDATE portfolio_positions SET opened_at = now() WHERE instrument = 'NEWER'"
        )


def _old(path: str) -> dict[str, str]:
    return {"symbol": "OLD"} if path == "/api/orders" else {"instrument": "OLD"}


@pytest.mark.req("IF-1", "ORD-8")
async def test_status_tells_what_a_person_must_know_first(pool: Any, viewer: Any) -> None:
    await add_orders(pool, "A", 1, state="IN_DOUBT")
    await add_orders(pool, "B", 2, state="QUARANTINED")
    await add_orders(pool, "C", 1, state="SENDING")  # long past its send_by
    await pool.execute(
        "INSERT INTO lanes (lane, portfolio, instrument, blocked) "
        "VALUES ('main/B', 'main', 'B', 'contradiction')"
    )
    await pool.execute(
        "INSERT INTO leases (resource, epoch, holder, boot, acquired_at, lease_until)"
        " VALUES ('leader', 7, 'prod', gen_random_uuid(), now(), now() + interval '1 hour')"
    )
    status = await good(viewer, "/api/status")
    assert (status["instance"], status["state"], status["epoch"]) == ("prod", "ACTIVE", 7)
    assert (status["database"], status["venue"], status["leader"]) == ("connected", "PAPER", "prod")
    assert (status["in_doubt"], status["quarantined"], status["paused"]) == (2, 2, False)
    assert [lane["lane"] for lane in status["blocked_lanes"]] == ["main/B"]
    assert status["blocked_lanes"][0]["reason"] == "contradiction"


@pytest.mark.req("CTL-17")
async def test_a_silent_leader_is_shown_as_crashed_and_leads_no_more(
    pool: Any, viewer: Any
) -> None:
    await pool.execute(
        "INSERT INTO instance_metadata (instance, boot, started_at, last_heartbeat, is_leader,"
        " state, version) VALUES"
        " ('prod', gen_random_uuid(), now(), now() - interval '31 s', true, 'ACTIVE', '0.1.0'),"
        " ('dev', gen_random_uuid(), now(), now(), false, 'STANDBY', '0.1.0')"
    )
    await pool.execute(
        "INSERT INTO leases (resource, epoch, holder, boot, acquired_at, lease_until)"
        " VALUES ('leader', 7, 'prod', gen_random_uuid(), now(), now())"
    )
    dev, prod = (await good(viewer, "/coordinator/instances"))["instances"]
    assert (dev["instance"], dev["stale"], dev["status"]) == ("dev", False, "active")
    assert (prod["stale"], prod["status"], prod["is_leader"]) == (True, "crashed", False)
    assert prod["heartbeat_age_ms"] >= 31_000
    (silent,) = (await good(viewer, "/coordinator/stale-instances"))["instances"]
    assert (silent["instance"], silent["status"], silent["is_leader"]) == ("prod", "crashed", False)
    assert silent["stale_s"] >= 31
    assert silent["last_heartbeat"] == prod["last_heartbeat"]
    assert (await good(viewer, "/coordinator/stale-instances", timeout=3600))["instances"] == []
    leader = await good(viewer, "/coordinator/leader")
    assert (leader["db_leader"], leader["epoch"], leader["split_brain"]) == (None, 7, False)


@pytest.mark.req("ORD-9")
async def test_the_last_reconciliation_is_shown(pool: Any, viewer: Any) -> None:
    for clean in ("true", "false"):
        await pool.execute(
            "INSERT INTO reconciliations (instance, epoch, trigger, clean, report)"
            f" VALUES ('prod', 7, 'start', {clean}, '{{\"orphans\": [\"of1\"]}}')"
        )
    report = await good(viewer, "/api/reconciliation")
    assert (report["id"], report["clean"], report["report"]) == (2, False, {"orphans": ["of1"]})
