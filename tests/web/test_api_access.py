"""Who gets in, and what every refusal says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from onefill.web.problem import MEDIA_TYPE
from onefill.web.tokens import Role, Tokens, bearer
from web.conftest import OPERATOR, VIEWER, api_with, client_of
from web.rows import TRADE, add_orders


def routes(api: FastAPI) -> Iterator[tuple[str, str]]:
    """Every documented route, with values that exist in TRADE."""
    values = {
        "signal_id": "1",
        "client_order_id": "of1",
        "position_id": "p1",
        "portfolio": "new",
        "lane": "main%2FSIM001",
    }
    for path, methods in api.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path.format_map(values)


def body_of(method: str, path: str) -> dict[str, Any] | None:
    if path == "/api/capital":
        return {"amount": "1"}
    return {"sizing": "own", "time_basis": "now"} if method == "PUT" else None


def problem_of(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    document = answer.json()
    assert document["status"] == status
    assert all(document[member] for member in ("type", "title", "detail", "remedy"))
    return document


@pytest.mark.req("IF-2")
async def test_each_route_wants_a_viewer_to_read_and_an_operator_to_act(
    pool: Any, api: FastAPI
) -> None:
    await pool.execute(TRADE)
    await pool.execute(
        "INSERT INTO reconciliations (instance, trigger, clean, report)"
        " VALUES ('prod', 'start', true, '{}')"
    )
    known = list(routes(api))
    assert len(known) >= 14
    for token, acts in ((None, 401), ("wrong", 401), (VIEWER, 403), (OPERATOR, 200)):
        reads = 401 if acts == 401 else 200
        async with client_of(api, token) as client:
            for method, path in known:
                answer = await client.request(method, path, json=body_of(method, path))
                expected = reads if method == "GET" else acts
                if method != "GET" and token == OPERATOR:
                    # Let in; whether there is anything to act on is another question.
                    assert answer.status_code not in (401, 403), (method, path, answer.text)
                    expected = answer.status_code
                assert answer.status_code == expected, (token, method, path, answer.text)
                if expected >= 400:
                    problem_of(answer, expected)


@pytest.mark.req("IF-2")
@pytest.mark.parametrize("path", ["/api/none", "/api/signals/x", "/", "/api//signals", "/docs/"])
async def test_without_a_token_nobody_learns_which_paths_exist(api: FastAPI, path: str) -> None:
    async with client_of(api, None) as client:
        answer = await client.get(path)
        assert answer.headers["www-authenticate"] == "Bearer"
        problem_of(answer, 401)


@pytest.mark.req("IF-2")
async def test_without_configured_tokens_all_is_closed_and_the_setting_named(pool: Any) -> None:
    for tokens in (Tokens(), Tokens(operator="", viewer="")):
        for token in ("", "x", None):
            async with client_of(api_with(pool, tokens), token) as client:
                document = problem_of(await client.get("/api/signals"), 401)
                assert "ONEFILL_OPERATOR_TOKEN" in document["remedy"]
                problem_of(await client.post("/api/trading/pause"), 401)


@pytest.mark.req("IF-2")
def test_a_token_is_one_whole_header_of_its_scheme_and_never_shown() -> None:
    tokens = Tokens(operator="secret-o", viewer="secret-v")
    assert tokens.role_of("secret-o") is Role.OPERATOR
    assert tokens.role_of("secret-v") is Role.VIEWER
    assert [tokens.role_of(wrong) for wrong in ("", "secret", "secret-o ", "SECRET-O")] == [
        None
    ] * 4
    assert Tokens(viewer="v").role_of("") is None
    assert (bearer("bearer abc"), bearer("Bearer"), bearer("Basic abc")) == ("abc", None, None)
    assert "secret" not in repr(tokens)


@pytest.mark.req("IF-3")
@pytest.mark.parametrize(
    "path",
    [
        "/api/none",
        "/api/signals/99",
        "/api/orders/of9",
        "/api/positions/p9",
        "/api/portfolio?portfolio=p9",
        "/api/reconciliation",
    ],
)
async def test_what_is_not_there_is_a_problem_with_a_remedy(viewer: Any, path: str) -> None:
    problem_of(await viewer.get(path), 404)


@pytest.mark.req("IF-3")
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/signals/0", "signal_id"),
        ("/api/signals/99999999999999999999", "signal_id"),
        ("/api/signals?status=done", "status"),
        ("/api/signals?since=2026-01-05T09:00:00", "since"),
        ("/api/signals?since=0001-01-01T00:00:00%2B05:00", "since"),
        ("/api/signals?limit=0", "limit"),
        ("/api/signals?limit=501", "limit"),
        ("/api/signals?instrument=%00", "instrument"),
        ("/api/signals?cursor=-1", "cursor"),
        ("/api/signals?cursor=99999999999999999999999", "cursor"),
        ("/api/orders?cursor=7", "cursor"),
        ("/api/orders?cursor=2026-01-05T09:00:00~of1", "cursor"),
        ("/api/orders?cursor=2026-01-05T09:00:00Z~%00", "cursor"),
        ("/api/positions?closed=perhaps", "closed"),
        ("/api/positions/%00", "position_id"),
    ],
)
async def test_what_is_not_valid_names_the_field(viewer: Any, path: str, field: str) -> None:
    document = problem_of(await viewer.get(path), 422)
    assert field in [error["field"] for error in document["errors"]]


@pytest.mark.req("IF-3")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"sizing": "own"}',
        b'{"sizing": "own", "time_basis": "now", "mode": 1}',
        b'{"sizing": "own", "time_basis": "now", "initial_capital": "NaN"}',
        b'{"sizing": "own", "time_basis": "now", "initial_capital": -1}',
    ],
)
async def test_a_body_that_is_not_valid_changes_nothing(
    pool: Any, operator: Any, body: bytes
) -> None:
    kind = {"Content-Type": "application/json"}
    answer = await operator.put("/api/portfolios/replay", content=body, headers=kind)
    assert problem_of(answer, 422)["errors"]
    assert await pool.fetchval("SELECT count(*) FROM portfolio_state") == 0


@pytest.mark.req("IF-3")
async def test_a_wrong_method_and_a_conflict_are_problems(pool: Any, operator: Any) -> None:
    answer = await operator.post("/api/signals")
    problem_of(answer, 405)
    assert answer.headers["allow"] == "GET"
    await add_orders(pool, "SIM001", 1, venue="live")
    answer = await operator.put(
        "/api/portfolios/main", json={"sizing": "signal", "time_basis": "now"}
    )
    assert problem_of(answer, 409)["reason"] == "live_orders"


@pytest.mark.req("IF-3")
async def test_without_a_database_reads_are_503_and_status_still_answers(
    pool: Any, viewer: Any, operator: Any
) -> None:
    await pool.close()
    answer = await viewer.get("/api/signals")
    assert answer.headers["retry-after"] == "1"
    problem_of(answer, 503)
    problem_of(await operator.post("/api/trading/pause"), 503)
    status = (await viewer.get("/api/status")).json()
    assert (status["database"], status["instance"], status["paused"]) == (
        "unreachable",
        "prod",
        None,
    )


@pytest.mark.req("IF-3")
async def test_a_failure_inside_tells_nothing_of_the_inside(pool: Any, viewer: Any) -> None:
    await pool.execute("DROP TABLE signal_log CASCADE")
    answer = await viewer.get("/api/signals")
    problem_of(answer, 500)
    assert "signal_log" not in answer.text


@pytest.mark.req("ORD-14")
async def test_an_instance_that_can_reach_real_money_says_live(pool: Any) -> None:
    async with client_of(api_with(pool, Tokens(viewer=VIEWER), live=True), VIEWER) as client:
        assert (await client.get("/api/status")).json()["venue"] == "LIVE"
