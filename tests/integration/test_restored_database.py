"""A database put back to an older state: nothing that was remembered of it is believed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onefill.core.ids import Lane
from onefill.core.signal import Signal
from onefill.embedded.server import EmbeddedPostgres
from onefill.flow.intake import Intake, Taken
from onefill.ports.clock import RealClock
from onefill.ports.gossip import Gossip
from onefill.ports.hints import Inbox
from onefill.ports.intake import IntakeUnavailable
from onefill.ports.metrics import Metrics
from onefill.postgres.migrate import migrate
from onefill.redis.beside.gossip import RedisGossip
from onefill.redis.connection import RedisConnection
from redis_servers import redis_server_of
from support import until
from trading_support import PostgresAuthority, buy, holder, payload_of

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


@contextlib.asynccontextmanager
async def intake_on(authority: PostgresAuthority, name: str, told: Gossip) -> AsyncIterator[Intake]:
    """A running intake of an instance."""
    intake = Intake(
        signal_log=authority.signals(holder(name)),
        lanes=Inbox[Lane](),
        metrics=Metrics(),
        clock=RealClock(),
        gossip=told,
    )
    running = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        running.cancel()
        await asyncio.wait({running})


async def take(intake: Intake, signal: Signal) -> Taken:
    """Send it as often as it takes."""

    async def taken() -> Taken | None:
        with contextlib.suppress(IntakeUnavailable):
            return await intake.take_in(signal, payload_of(signal))
        return None

    answer = await until(taken)
    assert answer is not None
    return answer


@pytest.mark.req("SIG-10", "OPS-7")
async def test_after_a_restore_to_an_older_state_a_resent_signal_is_logged_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("restored")
    lost, kept = (buy("SIM001", NOON + timedelta(seconds=n), f"r{n}") for n in range(2))
    with redis_server_of("valkey", folder / "redis") as redis:
        await redis.up()
        postgres = EmbeddedPostgres(folder / "postgres")
        await postgres.start()
        await migrate(postgres.url)
        authority = PostgresAuthority(postgres.url)
        connection = RedisConnection(redis.url, RealClock())
        a, b = (
            RedisGossip(redis.url, connection, RealClock(), me=me, on_lanes=list) for me in "ab"
        )
        gossip = [asyncio.create_task(each.run()) for each in (a, b)]
        async with intake_on(authority, "a", a) as here, intake_on(authority, "b", b) as there:
            await until(lambda: a.connected and b.connected)
            await take(here, kept)
            await _back_up(postgres, folder)
            await take(here, lost)
            await _restore(postgres, folder)
            assert len(await authority.rows("SELECT FROM signal_log")) == 1
            await take(here, lost)
            assert len(await authority.rows("SELECT FROM signal_log")) == 2
            assert (await take(here, kept)).duplicate
            assert (await take(there, lost)).duplicate
        for task in gossip:
            task.cancel()
        await asyncio.wait(gossip)
        await connection.close()
        await authority.close()
        await postgres.stop()


async def _back_up(postgres: EmbeddedPostgres, folder: Path) -> None:
    await postgres.stop()
    shutil.copytree(folder / "postgres" / "cluster", folder / "backup")
    await postgres.start()


async def _restore(postgres: EmbeddedPostgres, folder: Path) -> None:
    await postgres.stop()
    shutil.rmtree(folder / "postgres" / "cluster")
    shutil.copytree(folder / "backup", folder / "postgres" / "cluster")
    await postgres.start()
