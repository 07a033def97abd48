"""Messages, witness, heartbeats and hints on a real Valkey and Redis, whatever befalls it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import uvloop

from makers_of_signals import committed
from onefill.core.ids import Epoch, Lane
from onefill.ports.clock import RealClock
from onefill.ports.lease import LEADER
from onefill.ports.messages import Message, MessageKind
from onefill.ports.witness import Witnessed
from onefill.redis.beside.gossip import CHANNEL, Known, RedisGossip
from onefill.redis.beside.heartbeat import RedisHeartbeat
from onefill.redis.beside.listener import Listener
from onefill.redis.beside.messages import RedisMessages
from onefill.redis.beside.witness import RedisWitness
from onefill.redis.connection import RedisConnection, RedisUnavailable
from redis_servers import RedisServer, redis_server
from strain import within
from support import until

__all__ = ["redis_server"]

A, B = Epoch(7), Epoch(8)
CALLS = 600
BACK_WITHIN_S = 2.0
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
async def connection(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    """A connection with a long time-out: these tests are about answers."""
    connection = RedisConnection(redis_server.url, RealClock(), call_timeout_ms=3_000)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run them beside the test."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextlib.contextmanager
def resetting_server() -> Iterator[int]:
    """A port whose connections are reset, sooner or later after they were opened."""
    delays = itertools.cycle(step / 50_000 for step in range(50))
    abort = struct.pack("ii", 1, 0)
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def reset_each() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = server.accept()
                over.wait(next(delays))
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
                accepted.close()

    thread = threading.Thread(target=reset_each)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


# Calls ------------------------------------------------------------------------------------


@pytest.mark.req("CTL-10")
async def test_a_paused_redis_fails_the_first_call_in_time_and_the_next_at_once(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    assert await connection.call("PING")
    redis_server.pause()
    with pytest.raises(RedisUnavailable):
        await connection.call("PING")
    with pytest.raises(RedisUnavailable, match="backing off"):
        await connection.call("PING")
    assert not connection.is_up


@pytest.mark.req("CTL-10", "Q-1")
def test_a_line_that_is_reset_at_any_moment_of_its_opening_is_only_away() -> None:
    """On the product's own event loop: its transports raise what asyncio's never do."""

    async def calls(port: int) -> None:
        for _ in range(CALLS):
            connection = RedisConnection(f"redis://127.0.0.1:{port}", RealClock())
            with pytest.raises(RedisUnavailable):
                await connection.call("PING")
            await connection.close()

    async def listens(port: int) -> None:
        listener = Listener(f"redis://127.0.0.1:{port}", RealClock(), "heard", print)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listener.run(), 1)

    with resetting_server() as port:
        uvloop.run(calls(port))
        uvloop.run(listens(port))


@pytest.mark.req("OPS-3")
async def test_after_a_kill_it_is_back_by_itself(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    await connection.call("SET", "kept", "1")
    redis_server.kill()
    with pytest.raises(RedisUnavailable):
        await connection.call("PING")
    redis_server.start()
    await redis_server.up()

    async def answers() -> bool:
        with contextlib.suppress(RedisUnavailable):
            return bool(await connection.call("GET", "kept") == b"1")
        return False

    with within(BACK_WITHIN_S):
        await until(answers)
    assert connection.is_up


async def test_a_full_redis_refuses_and_counts_as_there(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    await connection.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RedisUnavailable):
        await connection.call("SET", "k", "v")
    assert connection.is_up


# Witness ----------------------------------------------------------------------------------


@pytest.mark.req("CTL-7", "AP-1")
async def test_the_remembered_epoch_never_goes_down(connection: RedisConnection) -> None:
    witness = RedisWitness(connection)
    assert await witness.read(LEADER) == Witnessed(epoch=Epoch(0), holder=None)
    assert await witness.write(LEADER, B, "b") == Witnessed(epoch=B, holder="b")
    assert await witness.write(LEADER, A, "a") == Witnessed(epoch=B, holder="b")
    assert await connection.call("MGET", "ginie:epoch", "ginie:active") == [b"8", b"b"]


@pytest.mark.req("CTL-7")
async def test_epochs_of_microseconds_are_told_apart(connection: RedisConnection) -> None:
    witness, epoch = RedisWitness(connection), Epoch(1_768_478_400_123_456)
    await witness.write(LEADER, epoch, "a")
    above = Epoch(epoch + 1)
    assert await witness.write(LEADER, above, "b") == Witnessed(epoch=above, holder="b")
    assert await witness.write(LEADER, epoch, "a") == Witnessed(epoch=above, holder="b")


@pytest.mark.req("CTL-7")
async def test_a_demoted_holder_is_named_no_more_and_cannot_unname_its_successor(
    connection: RedisConnection,
) -> None:
    witness = RedisWitness(connection)
    await witness.write(LEADER, A, "a")
    assert await witness.write(LEADER, A, None) == Witnessed(epoch=A, holder=None)
    await witness.write(LEADER, B, "b")
    assert await witness.write(LEADER, A, None) == Witnessed(epoch=B, holder="b")


@pytest.mark.req("CTL-7")
async def test_a_witness_that_cannot_be_asked_knows_nothing(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    witness = RedisWitness(connection)
    redis_server.kill()
    assert await witness.read(LEADER) is None
    assert await witness.write(LEADER, A, "a") is None
    assert witness.connected is False


async def test_strange_words_in_its_keys_are_unknown(connection: RedisConnection) -> None:
    witness = RedisWitness(connection)
    await connection.call("SET", "ginie:epoch", "seven")
    assert await witness.read(LEADER) is None
    await connection.call("DEL", "ginie:epoch")
    await connection.call("LPUSH", "ginie:epoch", "1")
    assert await witness.write(LEADER, A, "a") is None


# Messages ---------------------------------------------------------------------------------


@pytest.mark.req("CTL-11", "OPS-3")
async def test_messages_arrive_again_after_a_restart_and_strange_ones_never(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    messages = RedisMessages(redis_server.url, connection, RealClock())
    heard: list[Message] = []
    messages.subscribe(heard.append)
    async with running(messages.run()):
        for epoch in (A, B):
            with within(BACK_WITHIN_S):
                await until(lambda: messages.connected)
            said = Message(kind=MessageKind.READY, sender="a", to="b", sent_at=NOON, epoch=epoch)
            await connection.call("PUBLISH", "ginie:control", b"\xff{")
            await messages.publish(said)
            await until(lambda: bool(heard))
            assert heard == [said]
            heard.clear()
            redis_server.kill()
            await until(lambda: not messages.connected)
            await messages.publish(said)
            redis_server.start()
            await redis_server.up()
            with within(BACK_WITHIN_S):
                await until(connection_answers(connection))


@pytest.mark.req("CTL-11", "OPS-3")
async def test_a_listener_notices_a_paused_redis_and_hears_again_afterwards(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    messages = RedisMessages(redis_server.url, connection, RealClock())
    async with running(messages.run()):
        await until(lambda: messages.connected)
        redis_server.pause()
        await until(lambda: not messages.connected)
        redis_server.resume()
        with within(BACK_WITHIN_S):
            await until(lambda: messages.connected)


# Neighbours -------------------------------------------------------------------------------


@pytest.mark.req("SIG-10")
async def test_a_commit_is_known_to_the_neighbour_and_its_lane_is_hinted(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    hinted: list[Lane] = []
    a, b = (
        neighbours(redis_server, connection, [], "a"),
        neighbours(redis_server, connection, hinted, "b"),
    )
    signal = committed(1)
    async with running(a.run(), b.run()):
        await until(lambda: a.connected and b.connected)
        a.committed("one", [signal])
        await until(lambda: b.may_know("one", signal.fingerprint))
        assert hinted == [signal.lane]
        assert not a.may_know("one", signal.fingerprint)
        assert not b.may_know("restored", signal.fingerprint)


@pytest.mark.req("SIG-10")
async def test_what_is_said_of_a_restored_database_voids_what_was_known_before(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    a = neighbours(redis_server, connection, [], "a")
    b = neighbours(redis_server, connection, [], "b")
    old, new = committed(1), committed(2)
    async with running(a.run(), b.run()):
        await until(lambda: a.connected and b.connected)
        a.committed("one", [old])
        await until(lambda: b.may_know("one", old.fingerprint))
        a.committed("restored", [new])
        await until(lambda: b.may_know("restored", new.fingerprint))
        assert not b.may_know("one", old.fingerprint)
        assert not b.may_know("restored", old.fingerprint)


@pytest.mark.req("SIG-10")
async def test_strange_words_and_a_paused_redis_end_nothing(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    a = neighbours(redis_server, connection, [], "a")
    b = neighbours(redis_server, connection, [], "b")
    async with running(a.run(), b.run()):
        await until(lambda: a.connected and b.connected)
        for strange in (b"\xff", b"{}", b'{"from": 1}'):
            await connection.call("PUBLISH", CHANNEL, strange)
        redis_server.pause()
        a.committed("one", [committed(1)])
        await until(lambda: not connection.is_up)
        redis_server.resume()
        await until(lambda: a.connected and b.connected)

        def heard_again() -> bool:
            a.committed("one", [committed(2)])
            return b.may_know("one", committed(2).fingerprint)

        with within(BACK_WITHIN_S):
            await until(heard_again)


def test_what_is_known_of_neighbours_is_bounded() -> None:
    known = Known(at_most=10)
    known.add("one", [bytes([number]) for number in range(100)])
    assert len(known) <= 10
    assert known.has("one", bytes([99]))


def neighbours(
    server: RedisServer, connection: RedisConnection, hinted: list[Lane], me: str
) -> RedisGossip:
    return RedisGossip(server.url, connection, RealClock(), me=me, on_lanes=hinted.extend)


# Heartbeat --------------------------------------------------------------------------------


@pytest.mark.req("AP-1", "CTL-10")
async def test_a_heartbeat_is_kept_for_30_s_and_an_unreadable_one_is_unknown_not_dead(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    looks: list[int] = []

    async def look() -> None:
        looks.append(1)

    heart = RedisHeartbeat(
        connection, RealClock(), instance="a", tell=lambda: {"state": "ACTIVE"}, look=look
    )
    async with running(heart.run()):
        await until(lambda: bool(looks))

        async def beaten() -> bool:
            return bool(await connection.call("EXISTS", "ginie:heartbeat:a"))

        await until(beaten)
        read = await heart.read(["a", "b"])
        assert read is not None
        assert read["a"] is not None
        assert (read["a"]["instance"], read["a"]["state"], read["b"]) == ("a", "ACTIVE", None)
        assert 0 < await connection.call("TTL", "ginie:heartbeat:a") <= 30
        redis_server.kill()
        assert await heart.read(["a"]) is None


def connection_answers(connection: RedisConnection) -> Any:
    """Whether a call is answered now."""

    async def answers() -> bool:
        with contextlib.suppress(RedisUnavailable):
            return bool(await connection.call("PING"))
        return False

    return answers
