"""Who may send signals, and that no secret is ever seen."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from onefill.ports.clock import RealClock
from onefill.web.webhook_auth import TRADINGVIEW, Door, Secrets, Senders
from web.served_webhook import OTHER_SECRET, SECRET, Served, order, without_secret

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
PROXY = "10.0.0.1"


def signed(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    message = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return {"x-timestamp": str(timestamp), "x-signature": f"sha256={digest}"}


def now_s() -> int:
    return int(RealClock().wall().timestamp())


@pytest.mark.req("SIG-7")
@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
async def test_each_of_several_secrets_opens_in_each_way(secret: str) -> None:
    async with Served().running() as served, served.client() as client:
        body = json.dumps(without_secret(3)).encode()
        answers = [
            await client.post("/webhook", json=order(1, secret=secret)),
            await client.post(f"/webhook/{secret}", json=without_secret(2)),
            await client.post("/webhook", content=body, headers=signed(body, secret, now_s())),
        ]
        assert [answer.json()["status"] for answer in answers] == ["accepted"] * 3


@pytest.mark.req("SIG-7")
async def test_wrong_or_missing_credentials_get_401_and_nothing_else_is_said() -> None:
    body = json.dumps(without_secret()).encode()
    forged = signed(body + b" ", SECRET, now_s())
    async with Served().running() as served, served.client() as client:
        answers = [
            await client.post("/webhook", json=without_secret()),
            await client.post("/webhook", json=order(secret="wrong")),
            await client.post("/webhook", json=order(secret="")),
            await client.post("/webhook", json=order(secret=SECRET[:-1])),
            await client.post("/webhook", json=order(secret=5)),
            await client.post("/webhook", json=without_secret(contracts=0)),
            await client.post("/webhook/wrong", json=order()),
            await client.post("/webhook/%ff%00", json=order()),
            await client.post(f"/webhook/{SECRET}/x", json=order()),
            await client.post(f"/webhook/{SECRET}", json=order(secret="wrong")),
            await client.post("/webhook", content=body, headers=forged),
            await client.post("/webhook", json=order(), headers={"x-signature": "sha256=00"}),
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1
        assert not served.log.rows


@pytest.mark.req("SIG-7")
async def test_secrets_reach_no_log_no_row_and_no_error() -> None:
    async with Served().running() as served, served.client() as client:
        answers = [
            await client.post("/webhook", json=order()),
            await client.post("/webhook", json=order(type=SECRET)),
            await client.post("/webhook", content=json.dumps(order()).encode()[:-1]),
            await client.post("/webhook", content=f"secret={OTHER_SECRET}&action=buy".encode()),
            await client.post("/webhook", content=f'{{"a": {SECRET}}}'.encode("utf-16")),
            await client.post(f"/webhook/{SECRET}", json=without_secret(passphrase=SECRET)),
            await client.post(f"/webhook/{SECRET}", content=b'{"secret": "unknown-one"'),
            await client.get(f"/nothing/{SECRET}"),
        ]
        assert [answer.status_code for answer in answers] == [200, *[400] * 6, 500]
        stored = [new.payload for _, new in served.log.rows.values()]
    seen = served.lines.getvalue() + "".join(stored) + "".join(one.text for one in answers)
    assert len([one for one in served.logged if one["event"] == "webhook.invalid"]) == 6
    for secret in (SECRET, OTHER_SECRET, "unknown-one", "t\x00h\x00e", "t\\u0000h"):
        assert secret not in seen


@pytest.mark.req("SIG-6")
async def test_invalid_bodies_are_sampled_not_flooded() -> None:
    async with Served().running() as served, served.client() as client:
        for _ in range(30):
            await client.post("/webhook", content=b"{")
        assert served.metrics.signals.values == {("invalid",): 30}
        assert 1 <= len(served.logged) <= 12


@pytest.mark.req("SIG-7")
async def test_without_secrets_only_this_machine_may_send_and_a_warning_says_so() -> None:
    async with Served(secrets={}).running() as served, served.client() as client:
        assert (await client.post("/webhook", json=without_secret())).status_code == 200
        forwarded = {"x-forwarded-for": "203.0.113.9"}
        answer = await client.post("/webhook", json=without_secret(2), headers=forwarded)
        assert answer.status_code == 401
        assert served.logged[0]["event"] == "webhook.no_secret"


@pytest.mark.req("SIG-7")
async def test_an_address_that_is_not_allowed_is_refused_whatever_its_secret() -> None:
    senders = Senders.named(allowed=["tradingview"])
    async with Served(senders=senders).running() as served, served.client() as client:
        claimed = {"x-forwarded-for": TRADINGVIEW[0]}
        answer = await client.post("/webhook", json=order(), headers=claimed)
        assert answer.status_code == 401


@pytest.mark.req("SIG-7")
async def test_a_trusted_proxy_is_believed_about_the_sender() -> None:
    senders = Senders.named(trusted_proxies=["127.0.0.1"], allowed=["tradingview"])
    async with Served(senders=senders).running() as served, served.client() as client:
        for address, status in ((TRADINGVIEW[0], 200), ("203.0.113.9", 401)):
            headers = {"x-forwarded-for": f"{TRADINGVIEW[1]}, {address}"}
            answer = await client.post("/webhook", json=order(), headers=headers)
            assert answer.status_code == status


def scope(peer: str, *forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": (peer, 1), "headers": headers}


@pytest.mark.req("SIG-7")
@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),
        (PROXY, [], PROXY),
        (PROXY, ["203.0.113.9"], "203.0.113.9"),
        (PROXY, ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (PROXY, ["1.1.1.1", "203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (PROXY, ["10.0.0.8, 10.0.0.7"], PROXY),
        (PROXY, ["1.1.1.1, rubbish"], PROXY),
        (f"::ffff:{PROXY}", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_the_sender_is_the_last_hop_that_no_trusted_proxy_is(
    peer: str, forwarded: list[str], sender: str
) -> None:
    senders = Senders.named(trusted_proxies=["10.0.0.0/24"])
    assert senders.sender_of(scope(peer, *forwarded)) == sender


@pytest.mark.req("SIG-7")
@pytest.mark.parametrize(
    ("peer", "admitted"),
    [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("", False), ("unix", False)],
)
def test_only_loopback_is_this_machine(peer: str, admitted: bool) -> None:
    assert Door(Secrets({})).admits(scope(peer), peer, []) is admitted


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="not-an-address"):
        Senders.named(allowed=["not-an-address"])


@pytest.mark.req("SIG-7")
@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_a_signature_counts_for_five_minutes(age_s: int) -> None:
    secrets = Secrets({"a": SECRET})
    at_s = int(NOW.timestamp()) - age_s
    headers = signed(b"{}", SECRET, at_s)
    timestamp, signature = headers["x-timestamp"].encode(), headers["x-signature"].encode()
    assert secrets.signed(b"{}", signature, timestamp, NOW)
    assert secrets.signed(b"{}", signature.upper(), timestamp, NOW)
    later = NOW + timedelta(seconds=601)
    assert not secrets.signed(b"{}", signature, timestamp, later)
    assert not secrets.signed(b"{ }", signature, timestamp, NOW)
    assert not secrets.signed(b"{}", signature, b"", NOW)
    assert not secrets.signed(b"{}", signature, b"9" * 500, NOW)
    assert not secrets.signed(b"{}", b"", timestamp, NOW)
    assert not Secrets({}).signed(b"{}", signature, timestamp, NOW)


def test_an_empty_secret_is_none() -> None:
    assert not Secrets({"a": ""})
    assert not Secrets({"a": SECRET}).know("")
