"""Every answer of the webhook, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from onefill.core.errors import StoreUnavailable
from onefill.core.signal import SignalStatus
from onefill.web.rate_limit import Rate
from support import until
from web.served_webhook import SECRET, Served, order, raw_post, read_answer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with Served().running() as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as client:
        yield client


def check_problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """RFC 9457, with a remedy (IF-3)."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert document["type"] and document["title"] and document["remedy"]
    return document


@pytest.mark.req("SIG-1", "SIG-2")
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "x/y"])
async def test_a_signal_is_accepted_whatever_its_content_type(
    served: Served, client: httpx.AsyncClient, content_type: str
) -> None:
    body = json.dumps(order()).encode()
    answer = await client.post("/webhook", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    (identity, (signal_id, new)) = next(iter(served.log.rows.items()))
    assert answer.json() == {
        "status": "accepted",
        "signal_id": signal_id,
        "fingerprint": identity.hex(),
    }
    assert new.lane == "main/SIM001"


@pytest.mark.req("SIG-10")
async def test_a_repeat_is_a_duplicate_with_the_same_id(client: httpx.AsyncClient) -> None:
    first = (await client.post("/webhook", json=order())).json()
    again = await client.post("/webhook", json=order())
    assert again.status_code == 200
    assert again.json() == {**first, "status": "duplicate"}


@pytest.mark.req("SIG-4")
async def test_unknown_fields_are_warned_of(client: httpx.AsyncClient) -> None:
    answer = await client.post("/webhook", json=order(comment="hello"))
    assert answer.json()["unknown_fields"] == ["comment"]


@pytest.mark.req("SIG-6", "IF-3")
async def test_invalid_fields_are_listed(served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.post("/webhook", json=order(contracts=0, timestamp="soon"))
    errors = check_problem(answer, 400)["errors"]
    assert isinstance(errors, list)
    assert [(one["field"], one["got"]) for one in errors] == [
        ("contracts", "0"),
        ("timestamp", "'soon'"),
    ]
    assert not served.log.rows
    assert served.metrics.signals.values == {("invalid",): 1}


@pytest.mark.req("SIG-6")
@pytest.mark.parametrize("body", [b"", b"{", b'{"a": NaN}', b"\xff\xfe{}", b"[" * 10000])
async def test_what_is_no_json_is_called_so(client: httpx.AsyncClient, body: bytes) -> None:
    (error,) = check_problem(await client.post("/webhook", content=body), 400)["errors"]  # type: ignore[misc]
    assert error["field"] == "body"


@pytest.mark.req("SIG-6")
@pytest.mark.parametrize("size", [16 * 1024 + 1, 100_000, 900_000])
async def test_a_body_over_16_kib_is_too_large(client: httpx.AsyncClient, size: int) -> None:
    check_problem(await client.post("/webhook", content=b" " * size), 413)


@pytest.mark.req("SIG-6")
async def test_a_chunked_body_over_16_kib_is_too_large(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1000

    check_problem(await client.post("/webhook", content=chunks()), 413)


@pytest.mark.req("SIG-6")
async def test_a_body_of_just_16_kib_is_taken(client: httpx.AsyncClient) -> None:
    body = json.dumps(order()).encode().ljust(16 * 1024)
    assert (await client.post("/webhook", content=body)).status_code == 200


@pytest.mark.req("SIG-1")
async def test_a_chunked_body_is_a_body(client: httpx.AsyncClient) -> None:
    async def letters() -> AsyncIterator[bytes]:
        for letter in json.dumps(order()):
            yield letter.encode()

    assert (await client.post("/webhook", content=letters())).status_code == 200


@pytest.mark.req("IF-1")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
async def test_only_post_is_allowed(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/webhook")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.req("SIG-2")
async def test_a_store_that_is_away_is_503_with_retry_after(
    served: Served, client: httpx.AsyncClient
) -> None:
    served.log.failures.append(StoreUnavailable())
    answer = await client.post("/webhook", json=order())
    check_problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert (await client.post("/webhook", json=order())).json()["status"] == "accepted"


@pytest.mark.req("SIG-2")
async def test_a_store_that_hangs_is_503(served: Served, client: httpx.AsyncClient) -> None:
    served.log.gate.clear()
    check_problem(await client.post("/webhook", json=order(), timeout=60), 503)


@pytest.mark.req("SIG-2")
async def test_a_body_that_stops_coming_is_503_and_ends(served: Served) -> None:
    async with served.socket() as (reader, writer):
        writer.write(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        status, headers, _ = await read_answer(reader)
        assert (status, headers["connection"]) == (503, "close")
        assert "retry-after" in headers
        assert await reader.read() == b""


@pytest.mark.req("SIG-2")
async def test_a_defect_is_503_and_never_500(served: Served, client: httpx.AsyncClient) -> None:
    def broken() -> str | None:
        raise KeyError(SECRET)

    async with Served(rejects=broken).running() as other, other.client() as client_of_other:
        check_problem(await client_of_other.post("/webhook", json=order()), 503)
        assert any(line["event"] == "webhook.defect" for line in other.logged)
        assert SECRET not in other.lines.getvalue()


@pytest.mark.req("SIG-8")
async def test_a_sender_that_knocks_too_often_waits() -> None:
    rate = Rate(a_minute=1, burst=3)
    async with Served(rate=rate).running() as served, served.client() as client:
        answers = [await client.post("/webhook", json=order(number)) for number in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        check_problem(answers[-1], 429)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert served.metrics.signals.values == {("accepted",): 3, ("limited",): 1}


@pytest.mark.req("SIG-3")
async def test_a_standby_may_be_set_to_reject() -> None:
    async with Served(rejects=lambda: "not_leader").running() as served, served.client() as client:
        answer = await client.post("/webhook", json=order())
        assert answer.status_code == 200
        assert answer.json() == {"status": "rejected", "reason": "not_leader"}
        assert not served.log.rows


@pytest.mark.req("SIG-2")
async def test_a_client_that_hangs_up_does_not_strand_its_signal(served: Served) -> None:
    served.log.gate.clear()
    async with served.socket() as (_, writer):
        writer.write(raw_post(order()))
        await until(lambda: bool(served.log.statements))
    served.log.gate.set()
    await until(lambda: len(served.lanes) == 1)
    assert len(served.log.rows) == 1


@pytest.mark.req("SIG-6")
async def test_a_client_that_hangs_up_in_its_body_leaves_nothing(served: Served) -> None:
    async with served.socket() as (_, writer):
        writer.write(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
    await until(lambda: served.metrics.signals.values == {("gone",): 1})
    assert not served.log.rows


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    async with served.socket() as (reader, writer):
        for number in range(5):
            writer.write(raw_post(order(number)))
        ids = [json.loads((await read_answer(reader))[2])["signal_id"] for _ in range(5)]
        assert ids == [1, 2, 3, 4, 5]


@pytest.mark.req("SIG-15", "P-2")
async def test_a_thousand_at_once_are_each_durable_once(served: Served) -> None:
    async def ten(first: int) -> list[str]:
        async with served.socket() as (reader, writer):
            writer.write(b"".join(raw_post(order(first + n)) for n in range(10)))
            return [json.loads((await read_answer(reader))[2])["status"] for _ in range(10)]

    answers = await asyncio.gather(*(ten(first) for first in range(0, 1000, 10)))
    assert {status for ten_of_them in answers for status in ten_of_them} == {"accepted"}
    assert len(served.log.rows) == 1000
    assert len(served.log.statements) < 1000


@pytest.mark.req("SIG-19")
async def test_waiting_for_the_end_tells_the_end(served: Served) -> None:
    async with served.client() as client:
        waiting = asyncio.create_task(
            client.post("/webhook?wait=executed&timeout=20", json=order(), timeout=60)
        )
        await until(lambda: bool(served.log.rows))
        served.log.end(1, SignalStatus.BLOCKED, "margin")
        answer = (await waiting).json()
        assert (answer["status"], answer["reason"]) == ("blocked", "margin")
        assert (answer["signal_id"], answer["duplicate"]) == (1, False)


@pytest.mark.req("SIG-19")
async def test_waiting_no_longer_than_asked_tells_what_is_known(client: httpx.AsyncClient) -> None:
    answer = await client.post("/webhook?wait=executed&timeout=0.01", json=order())
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")


@pytest.mark.req("SIG-19")
@pytest.mark.parametrize("query", ["wait=filled", "wait=executed&timeout=x", "timeout=-1"])
async def test_an_odd_wish_to_wait_is_refused(client: httpx.AsyncClient, query: str) -> None:
    check_problem(await client.post(f"/webhook?{query}", json=order()), 400)
    answer = await client.post("/webhook?utm=1&wait=executed&timeout=NaN", json=order())
    check_problem(answer, 400)


@pytest.mark.req("OPS-2")
async def test_a_stop_finishes_what_is_under_way_and_takes_no_more() -> None:
    async with Served().running() as served, served.client() as client:
        served.log.gate.clear()
        under_way = asyncio.create_task(client.post("/webhook", json=order()))
        await until(lambda: bool(served.log.statements))
        stopping = asyncio.create_task(served.server.stop())
        await until(lambda: _refuses(served))
        served.log.gate.set()
        assert (await under_way).status_code == 200
        await stopping


async def _refuses(served: Served) -> bool:
    try:
        async with served.socket():
            return False
    except (ConnectionRefusedError, ConnectionResetError):  # by how far the stop has come
        return True
