"""The dispatcher, the probes, the metrics page and the server around them."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from onefill.web.app import Application
from onefill.web.asgi import Answer, App, Message, Receive, Scope, Send, respond
from onefill.web.health import Health
from onefill.web.server import CannotListen, WebServer
from web.served_webhook import Served, order

WELL = Health(instance="prod", state="ACTIVE", epoch=7, is_primary=True, database_up=True)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """A small API."""
    headers = ((b"content-type", b"text/plain"), (b"X-Frame-Options", b"SAMEORIGIN"))
    await respond(scope, send, Answer(200, scope["path"].encode(), headers))


@pytest.mark.req("IF-1")
@pytest.mark.parametrize(
    ("health", "statuses"),
    [
        (WELL, {"/live": 200, "/health": 200, "/ready": 200, "/primary": 200}),
        (replace(WELL, is_primary=False), {"/ready": 200, "/primary": 503}),
        (replace(WELL, not_ready=("the database is away",)), {"/health": 200, "/ready": 503}),
        (replace(WELL, must_restart="a loop died"), {"/live": 200, "/health": 503}),
    ],
)
async def test_probes_tell_the_health(health: Health, statuses: dict[str, int]) -> None:
    async with Served(health=health).running() as served, served.client() as client:
        for path, status in statuses.items():
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["instance_id"]) == (status, "prod")
            head = await client.head(path)
            assert (head.status_code, head.content) == (status, b"")
        assert (await client.post("/ready")).status_code == 405


@pytest.mark.req("IF-1")
async def test_health_shows_database_and_redis_and_readiness_its_reasons() -> None:
    health = replace(WELL, not_ready=("starting",), redis_up=False)
    async with Served(health=health).running() as served, served.client() as client:
        shown = (await client.get("/health")).json()
        assert (shown["database_connected"], shown["redis_connected"]) == (True, False)
        assert (await client.get("/ready")).json()["reasons"] == ["starting"]


@pytest.mark.req("IF-5")
async def test_metrics_are_prometheus_text_for_those_who_may_read() -> None:
    async with Served().running() as served, served.client() as client:
        assert (await client.get("/metrics")).status_code == 401
        for number in (1, 2, 2):
            await client.post("/webhook", json=order(number))
        served.metrics.leader.set(1, "prod")
        served.metrics.quarantined.read_with(lambda: {(): 3})
        page = (await client.get("/metrics", headers={"viewer": "yes"})).text
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["onefill_signals_total", "accepted"] == 2
    assert samples["onefill_signals_total", "duplicate"] == 1
    assert samples["onefill_signal_duplicates_total", "memory"] == 1
    assert samples["onefill_webhook_seconds_count",] == 3
    assert samples["onefill_webhook_seconds_bucket", "+Inf"] == 3
    assert samples["onefill_leader", "prod"] == 1
    assert samples["onefill_quarantined",] == 3


@pytest.mark.req("OPS-12")
async def test_everything_else_is_the_apis_with_security_headers() -> None:
    async with Served(api=lambda: hello).running() as served, served.client() as client:
        answer = await client.get("/api/webhook")
        assert (answer.status_code, answer.text) == (200, "/api/webhook")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
        assert (await client.get("/webhooks")).text == "/webhooks"
        assert (await client.get("/health")).headers["x-content-type-options"] == "nosniff"


@pytest.mark.req("IF-3")
async def test_a_defect_of_the_api_is_a_problem_document_without_details() -> None:
    async with Served().running() as served, served.client() as client:
        answer = await client.get("/api/anything")
        assert (answer.status_code, answer.json()["title"]) == (
            500,
            "This is a defect of onefill.",
        )
        assert served.logged[-1]["event"] == "web.defect"


async def test_the_api_is_built_once_beside_the_running_webhook() -> None:
    may_finish = threading.Event()
    built: list[int] = []

    def slowly() -> App:
        may_finish.wait()
        built.append(1)
        return hello

    async with Served(api=slowly).running() as served, served.client() as client:
        first = [asyncio.create_task(client.get("/a")) for _ in range(3)]
        assert (await client.post("/webhook", json=order())).status_code == 200
        may_finish.set()
        assert {(await one).status_code for one in first} == {200}
        assert built == [1]


async def test_an_api_that_could_not_be_built_is_tried_again() -> None:
    failures = [ImportError("a library is missing")]

    def at_second_try() -> App:
        if failures:
            raise failures.pop()
        return hello

    async with Served(api=at_second_try).running() as served, served.client() as client:
        assert [(await client.get("/a")).status_code for _ in range(2)] == [500, 200]


async def test_lifespan_is_acknowledged() -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Message:
        return dict(messages.pop(0))

    async def send(message: Message) -> None:
        sent.append(message["type"])

    application = Application(webhook=hello, routes={}, api=lambda: hello)
    await application({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_taken_port_is_said_with_a_remedy() -> None:
    first = WebServer(hello, host="127.0.0.1", port=0)
    port = await first.start()
    with pytest.raises(CannotListen, match=str(port)):
        await WebServer(hello, host="127.0.0.1", port=port).start()
    await first.stop()
    await WebServer(hello, host="127.0.0.1", port=0).stop()
