"""Takeovers whose messages are lost, late, repeated or made up, and whose actors die or hang."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import aiohttp
import asyncpg
import pytest

from chaos.test_control_takeover import steps
from chaos.traffic import traffic
from chaos.world import World, world
from onefill.ports.failpoints import Failpoint
from support import until
from wires import Notifications, wire_to_postgres

LONG = pytest.mark.long
TAKE = "/api/ginie/take-control"
HASTY = {"ONEFILL_TAKEOVER__DRAIN_MS": "500", "ONEFILL_TAKEOVER__FORCED_AFTER_MS": "2000"}
SLOW_LEASE = {"ONEFILL_LEASE__TTL_MS": "60000", "ONEFILL_LEASE__GIVE_UP_MS": "30000"}


async def took_control(here: World, name: str) -> list[str]:
    """Click, and wait until that instance is active and has said so; the steps that it took."""
    assert (await here.ask(name, TAKE, {}))[0] == 202
    await here.until_active(name)

    async def told() -> list[str] | None:
        seen = steps(await here.status(name))
        return seen if seen[-1] == "active" else None

    found = await until(told)
    assert found is not None
    return found


def lost(heard: Counter[str]) -> Callable[[], Notifications]:
    """No message arrives."""

    def times(message: bytes) -> int:
        heard["messages"] += 1
        return 0

    return lambda: Notifications(times)


def repeated(heard: Counter[str]) -> Callable[[], Notifications]:
    """Each message arrives five times."""

    def times(message: bytes) -> int:
        heard["messages"] += 1
        return 5

    return lambda: Notifications(times)


@pytest.mark.req("CTL-11")
@pytest.mark.parametrize(
    "line", [pytest.param(lost, id="lost"), pytest.param(repeated, id="five times", marks=LONG)]
)
async def test_lost_and_repeated_messages_change_nothing(
    database_url: str, tmp_path: Path, line: Callable[[Counter[str]], Callable[[], Notifications]]
) -> None:
    heard: Counter[str] = Counter()
    async with (
        wire_to_postgres(database_url, line(heard)) as (_, url),
        world(database_url, tmp_path, ONEFILL_DATABASE_URL=url) as here,
    ):
        await here.run("prod", "dev")
        await here.until_active("prod")
        async with traffic(here, "prod", "dev") as sender:
            for name in ("dev", "prod", "dev"):
                assert "forced" not in await took_control(here, name)
        assert heard["messages"] > 0
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["instance"] for reign in await here.reigns()] == [
            "prod",
            "dev",
            "prod",
            "dev",
        ]


@pytest.mark.req("CTL-11", "CTL-12")
async def test_made_up_late_and_early_messages_move_nobody(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await took_control(here, "dev")
        await here.until_told()
        before = await here.reigns()
        connection = await asyncpg.connect(database_url)
        for epoch in (0, before[0]["epoch"], before[1]["epoch"], before[1]["epoch"] + 1):
            for kind in ("DEACTIVATE", "READY", "HEARTBEAT", "DANCE"):
                for to in ("prod", "dev", "*"):
                    await connection.execute(
                        "SELECT pg_notify('onefill_control', $1)", _message(kind, to, epoch)
                    )
        for nonsense in ("", "{", "[]", '{"type": "READY"}', "\N{PILE OF POO}"):
            await connection.execute("SELECT pg_notify('onefill_control', $1)", nonsense)
        await connection.close()
        # One more takeover, so that all of it has been heard, and then the other way.
        await took_control(here, "prod")
        await here.until_told()
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev", "prod"]
        await here.judge()


def _message(kind: str, to: str, epoch: int) -> str:
    """What a stranger, or a message of yesterday, says."""
    sent_at = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=1)
    number = str(uuid5(_SPACE, f"{kind} {epoch}"))
    return json.dumps(
        {
            "type": kind,
            "from": "ghost",
            "to": to,
            "timestamp": sent_at.isoformat(),
            "request_id": number,
            "epoch": epoch,
        }
    )


_SPACE = NAMESPACE_DNS


@pytest.mark.req("CTL-11", "CTL-13", "ORD-7")
@pytest.mark.parametrize("mode", [pytest.param("active-active", marks=LONG), "active-standby"])
async def test_a_holder_that_hangs_while_it_drains_hands_over_when_its_time_is_over(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    """The exchange keeps the answer for longer than the holder may drain."""
    patient = {"ONEFILL_TAKEOVER__DRAIN_MS": "500", "ONEFILL_MODE": mode}
    async with world(database_url, tmp_path, **patient) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await here.fault(kind="stall", next=1, ms=4000)
        async with traffic(here, "prod", "dev", lanes=3) as sender:
            await until(lambda: _is_sending(here))
            seen = await took_control(here, "dev")
        assert {"draining", "drained", "transferred"} <= set(seen)
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)


async def _follows(here: World, name: str) -> bool:
    return bool((await here.status(name))["state"] == "STANDBY")


async def _is_sending(here: World) -> bool:
    return bool(await here.rows("SELECT FROM order_intents WHERE state = 'SENDING'"))


@pytest.mark.req("CTL-11", "CTL-13", "CTL-6")
async def test_a_holder_that_stops_dead_while_it_drains_is_forced(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, **HASTY, **SLOW_LEASE) as here:
        await here.run("prod", ONEFILL_FAILPOINT=f"{Failpoint.HANDOVER_DRAINED}:1:stop")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.until_active("prod")
        async with traffic(here, "dev") as sender:
            assert "forced" in await took_control(here, "dev")
            here["prod"].resume()
            await until(lambda: _follows(here, "prod"))  # what it would hand over is gone
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["end_reason"] for reign in await here.reigns()] == ["forced", None]


@pytest.mark.req("CTL-11", "CTL-5")
@pytest.mark.parametrize(
    "point",
    [
        pytest.param(Failpoint.TAKEOVER_REQUESTED, marks=LONG),
        Failpoint.TAKEOVER_READY,
        pytest.param(Failpoint.TAKEOVER_TAKEN, marks=LONG),
    ],
    ids=str,
)
async def test_a_requester_that_dies_at_any_step_leaves_one_leader_and_no_order_behind(
    database_url: str, tmp_path: Path, point: Failpoint
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false", ONEFILL_FAILPOINT=point.value)
        async with traffic(here, "prod") as sender:
            with contextlib.suppress(aiohttp.ClientError):  # it may die before it can answer
                await here.ask("dev", TAKE, {})
            assert await here["dev"].ended() == -9
            await here.until_active("prod")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)


@pytest.mark.req("CTL-11", "CTL-5")
@pytest.mark.parametrize(
    "point",
    [pytest.param(Failpoint.HANDOVER_DRAINED, marks=LONG), Failpoint.HANDOVER_TRANSFERRED],
    ids=str,
)
async def test_a_holder_that_dies_while_it_hands_over_has_handed_over(
    database_url: str, tmp_path: Path, point: Failpoint
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", ONEFILL_FAILPOINT=point.value)
        await here.until_active("prod")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with traffic(here, "dev") as sender:
            assert (await here.ask("dev", TAKE, {}))[0] == 202
            assert await here["prod"].ended() == -9
            await here.until_active("dev")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev"]


@pytest.mark.req("CTL-12")
async def test_a_hundred_clicks_of_three_people_are_one_operation_each_epoch(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev", "third")
        await here.until_active("prod")
        before = await here.status("prod")
        clicks = [
            here.ask(("prod", "dev", "third")[n % 3], TAKE, {"epoch": before["epoch"]})
            for n in range(100)
        ]
        answers: list[tuple[int, Any]] = await asyncio.gather(*clicks)
        begun = {document["operation_id"] for status, document in answers if status == 202}
        assert len(begun) == 1
        for status, document in answers:
            assert status in (200, 202, 409), document
            assert status != 409 or "epoch" in document["detail"], document

        async def moved() -> bool:
            return len(await here.reigns()) == 2

        await until(moved)
        await here.judge()
