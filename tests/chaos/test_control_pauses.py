"""A leader stops for twenty seconds at the worst places, loses its network, or its clock."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chaos.processes import Server
from chaos.traffic import traffic
from chaos.world import PATIENT, world
from onefill.ports.failpoints import Failpoint
from support import require, until
from wires import wire_to_postgres

LONG = pytest.mark.long
PAUSED_S = 20.0


@LONG
@pytest.mark.req("CTL-1", "CTL-3", "CTL-6", "ORD-3", "ORD-5")
@pytest.mark.parametrize("mode", ["active-active", "active-standby"])
@pytest.mark.parametrize(
    "point",
    [
        Failpoint.DECIDE_BEFORE_COMMIT,
        Failpoint.CLAIM_BEFORE_COMMIT,
        Failpoint.CLAIM_AFTER_COMMIT,
        Failpoint.SEND_BEFORE,
    ],
    ids=str,
)
async def test_a_leader_that_slept_twenty_seconds_sends_nothing_and_wakes_as_a_follower(
    database_url: str, tmp_path: Path, mode: str, point: Failpoint
) -> None:
    async with world(database_url, tmp_path, ONEFILL_MODE=mode) as here:
        await here.run("prod", ONEFILL_FAILPOINT=f"{point}:3:stop")
        await here.until_active("prod")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with traffic(here, "dev", lanes=5, a_second=10) as sender:
            if mode == "active-active":
                # Who decides there is open; the prod instance gets its share of alerts as well.
                sender.send_to("dev", "prod")
            await here.until_active("dev")
            sender.send_to("dev")
            await asyncio.sleep(PAUSED_S)
            (before,) = await here.rows(_ATTEMPTS_OF_PROD)
            here["prod"].resume()
            await here.until_follows("prod", "dev")
            (after,) = await here.rows(_ATTEMPTS_OF_PROD)
        if mode == "active-standby":
            assert after == before
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev"]


_ATTEMPTS_OF_PROD = "SELECT count(*) FROM order_attempts WHERE instance = 'prod'"


@pytest.mark.req("CTL-3", "CTL-10", "CTL-16", "Q-1")
@pytest.mark.parametrize("how", ["cut", pytest.param("freeze", marks=LONG)])
async def test_a_leader_cut_off_from_the_database_stops_and_another_leads(
    database_url: str, tmp_path: Path, how: str
) -> None:
    async with (
        wire_to_postgres(database_url) as (wire, url),
        world(database_url, tmp_path, ONEFILL_MODE="active-standby") as here,
    ):
        await here.run("prod", ONEFILL_DATABASE_URL=url)
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.until_active("prod")
        async with traffic(here, "dev", "prod") as sender:
            getattr(wire, how)()
            await here.until_active("dev")
            await here.until_not_active("prod")
            wire.cut()
            wire.mend()
            await here.until_follows("prod", "dev")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)


@LONG
@pytest.mark.req("CTL-4")
async def test_three_wrong_suspicions_make_the_lease_last_twice_as_long(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        leader, other = "prod", "dev"
        for _ in range(3):
            here[leader].pause()
            await here.until_active(other)
            here[leader].resume()
            await here.until_follows(leader, other)
            leader, other = other, leader

        async def lasts() -> bool:
            (lease,) = await here.rows(
                "SELECT extract(epoch FROM lease_until - clock_timestamp()) AS s FROM leases"
            )
            return bool(lease["s"] > 1.2 * int(PATIENT["ONEFILL_LEASE__TTL_MS"]) / 1000)

        await until(lasts)
        await until(lambda: here[leader].logged("damping.lease"))
        await here.judge()


def fake_clock() -> str:
    """The library that gives one process another wall clock."""
    require("faketime")
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    assert found is not None, "faketime is installed, its library is not"
    return str(found)


@LONG
@pytest.mark.req("CTL-3", "SIG-13", "Q-1")
@pytest.mark.parametrize("step", ["+3600", "-3600"])
async def test_a_wall_clock_that_steps_an_hour_changes_nothing_about_who_leads(
    database_url: str, tmp_path: Path, step: str
) -> None:
    """The leader's own clock, in the middle of its work; deadlines are by another clock."""
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    faked = {
        "LD_PRELOAD": fake_clock(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with world(database_url, tmp_path, ONEFILL_MODE="active-standby") as here:
        here.start(**faked)
        await here.instance.up(120)
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.until_active("prod")  # the faked clock makes its start slow
        async with traffic(here, "dev", a_second=10) as sender:
            await asyncio.sleep(1)
            clock.write_text(f"{step}\n")
            await asyncio.sleep(4)
            clock.write_text("+0\n")
            await asyncio.sleep(3)
            assert (await here.status("prod"))["is_active"]
            assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 202
            await here.until_active("dev")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev"]


NETWORK = "10.213.77"


def run(command: str) -> None:
    """Run it, and fail with what it says."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@contextlib.asynccontextmanager
async def network_of_its_own(name: str) -> AsyncIterator[None]:
    """A network namespace with one cable to this machine; skips loudly where none is allowed."""
    for tool in ("ip", "nft"):
        require(tool)
    allowed = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"no network namespace is allowed here: {allowed.stderr.decode().strip()}")
    try:
        run(f"ip link add {name}0 type veth peer name {name}1 netns {name}")
        run(f"ip addr add {NETWORK}.1/24 dev {name}0")
        run(f"ip link set {name}0 up")
        run(f"ip -n {name} addr add {NETWORK}.2/24 dev {name}1")
        run(f"ip -n {name} link set {name}1 up")
        run(f"ip -n {name} link set lo up")
        yield
    finally:
        run(f"ip netns del {name}")


def swallow(name: str, port: int) -> None:
    """From now on no packet passes between that network and this port."""
    inside = f"ip netns exec {name} nft"
    run(f"{inside} add table inet cut")
    for hook, side in (("input", "sport"), ("output", "dport")):
        run(f"{inside} add chain inet cut {hook} {{ type filter hook {hook} priority 0 ; }}")
        run(f"{inside} add rule inet cut {hook} tcp {side} {port} drop")


@LONG
@pytest.mark.req("CTL-3", "CTL-10", "CTL-16", "Q-1")
async def test_a_leader_whose_packets_are_swallowed_stops_and_another_leads(
    database_url: str, tmp_path: Path
) -> None:
    name = "ofcut"
    async with (
        network_of_its_own(name),
        wire_to_postgres(database_url, host=f"{NETWORK}.1") as (wire, url),
        world(database_url, tmp_path, ONEFILL_MODE="active-standby") as here,
    ):
        inside = Server(
            ["serve", "--host", f"{NETWORK}.2", "--port", "8095", "--instance-id", "far"],
            f"http://{NETWORK}.2:8095",
            "/ready",
            tmp_path / "far.log",
            before=("ip", "netns", "exec", name),
        )
        here.instances["far"] = inside
        await here.run("far", ONEFILL_DATABASE_URL=url, ONEFILL_DATA=str(tmp_path / "far"))
        await here.until_active("far")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with traffic(here, "dev") as sender:
            swallow(name, wire.port)
            await here.until_active("dev")
            await here.until_not_active("far")
            run(f"ip netns exec {name} nft delete table inet cut")
            await here.until_follows("far", "dev")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
