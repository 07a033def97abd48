"""Two instances, one active: control moves by hand, by release, by death, and by force."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.world import direct, send_until_accepted, world
from onefill.core.control.succession import FIRST_COMER_WAITS_MS
from support import until

BOTH_MODES = pytest.mark.parametrize("mode", ["active-active", "active-standby"])


def steps(status: dict[str, Any]) -> list[str]:
    """The steps that the shown takeover has come to."""
    return [step["step"] for step in status["operation"]["steps"]]


@pytest.mark.req("CTL-11", "CTL-9", "CTL-18", "CTL-19")
@BOTH_MODES
async def test_taking_control_drains_transfers_and_tells_each_step(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    async with world(database_url, tmp_path, ONEFILL_MODE=mode) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await here.until_follows("dev", "prod")

        async def knows_of_it() -> bool:  # by its heartbeat, which is written beside its lease
            return bool((await here.status("dev"))["other_alive"])

        await until(knows_of_it)
        assert (await here.status("dev"))["can_take_control"] is True

        status, taken = await here.ask("dev", "/api/ginie/take-control", {})
        assert (status, taken["success"], taken["wait_seconds"]) == (202, True, 10)
        await here.until_active("dev")

        async def told() -> bool:
            return steps(await here.status("dev"))[-1] == "active"

        await until(told)
        seen = steps(await here.status("dev"))
        assert set(seen) == {"requested", "ready", "draining", "drained", "transferred", "active"}
        assert (await here.status("prod"))["is_active"] is False
        assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 200
        async with aiohttp.ClientSession() as session:
            for n in range(4):
                url = here["prod" if n % 2 else "dev"].url
                await send_until_accepted(session, url, direct(f"s{n}", f"SIM00{n + 1}"))
        await here.judge(signals=4)
        first, second = await here.reigns()
        assert (first["instance"], first["end_reason"]) == ("prod", "takeover")
        assert (second["instance"], second["reason"]) == ("dev", "takeover")
        assert first["released_at"] == second["became_at"]
        await until(lambda: here["dev"].logged("BECAME LEADER - Now processing signals"))
        await until(lambda: here["prod"].logged("Released leadership - Stopped processing signals"))


@pytest.mark.req("CTL-12")
async def test_rapid_clicks_on_both_sides_are_one_operation(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev", "third")
        await here.until_active("prod")
        epoch = (await here.status("dev"))["epoch"]
        clicks = [
            here.ask(name, "/api/ginie/take-control", {"epoch": epoch})
            for name in ("dev", "third") * 5
        ]
        answers = await asyncio.gather(*clicks)
        begun = {document["operation_id"] for status, document in answers if status == 202}
        assert len(begun) == 1
        assert {status for status, _ in answers} <= {202, 409, 200}

        async def moved() -> bool:
            return len(await here.reigns()) == 2

        await until(moved)
        status, late = await here.ask("prod", "/api/ginie/take-control", {"epoch": epoch})
        assert status == 409
        assert (await here.reigns())[-1]["instance"] in late["detail"]


@pytest.mark.req("CTL-14")
async def test_release_hands_over_and_a_lone_instance_needs_a_yes(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        assert (await here.ask("prod", "/api/ginie/release-control", {}))[0] == 409
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")

        async def released() -> bool:
            return (await here.ask("prod", "/api/ginie/release-control", {}))[0] == 200

        await until(released)
        await here.until_active("dev")
        # Who released does not take control again while another lives, and does when it is gone.
        await here.until_follows("prod", "dev")
        here["dev"].kill()
        await here.until_active("prod")
        assert (await here.ask("prod", "/api/ginie/release-control", {"yes": True}))[0] == 200
        assert (await here.status("prod"))["active_instance"] is None
        assert (await here.ask("prod", "/api/ginie/take-control", {}))[0] == 202
        await here.until_active("prod")


@pytest.mark.req("CTL-14", "CTL-11")
async def test_where_nobody_answers_control_is_released_into_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        here["dev"].pause()
        assert (await here.ask("prod", "/api/ginie/release-control", {"yes": True}))[0] == 200
        (lease,) = await here.rows("SELECT holder FROM leases WHERE resource = 'leader'")
        assert lease["holder"] != "dev"


@pytest.mark.req("CTL-14", "CTL-11")
async def test_control_is_released_to_one_that_answers_never_to_one_that_is_paused(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev", "third")
        await here.until_active("prod")
        here["dev"].pause()  # its heartbeat is fresh, and by name it would be the next one
        assert (await here.ask("prod", "/api/ginie/release-control", {}))[0] == 200
        await here.until_active("third")
        here["prod"].kill()

        async def gone() -> bool:
            return not await here.rows(
                "SELECT FROM pg_stat_activity WHERE application_name LIKE 'onefill:prod:%' "
                "AND datname = current_database()"
            )

        await until(gone)
        status, refused = await here.ask("third", "/api/ginie/release-control", {})
        assert (status, "No other instance answers" in refused["detail"]) == (409, True)
        assert (await here.status("third"))["state"] == "ACTIVE"
        here["dev"].resume()

        async def released() -> bool:
            return (await here.ask("third", "/api/ginie/release-control", {}))[0] == 200

        await until(released)
        await here.until_active("dev")
        await here.until_told()
        led = [reign["instance"] for reign in await here.reigns()]
        assert led == ["prod", "third", "dev"]


@pytest.mark.req("CTL-14", "OPS-2")
async def test_a_clean_stop_hands_over_without_a_vacancy(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        assert await asyncio.to_thread(here["prod"].stop) == 0
        await here.until_active("dev")
        await here.until_told()
        first, second = await here.reigns()
        assert first["end_reason"] == "shutdown"
        assert first["released_at"] == second["became_at"]


@pytest.mark.req("CTL-5", "CTL-16", "CTL-17")
@BOTH_MODES
async def test_a_killed_leader_is_succeeded_before_its_lease_ends(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    # A lease of a minute: only the death itself can be what the successor noticed.
    slow = {"ONEFILL_LEASE__TTL_MS": "60000", "ONEFILL_LEASE__GIVE_UP_MS": "30000"}
    async with world(database_url, tmp_path, ONEFILL_MODE=mode, **slow) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        here["prod"].kill()
        await here.until_active("dev", 25)

        async def is_no_leader() -> bool:
            _, instances = await here.ask("dev", "/coordinator/instances")
            seen = {row["instance"]: row for row in instances["instances"]}
            return seen["prod"]["is_leader"] is False

        await until(is_no_leader)
        await here.until_told()
        assert (await here.reigns())[-1]["reason"] == "failover"


@pytest.mark.req("CTL-16")
async def test_a_manual_instance_never_activates_itself_and_the_preferred_one_resumes(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        await here.run("dev", ONEFILL_MAY_SUCCEED="manual", ONEFILL_ACTIVE_BY_DEFAULT="false")
        here["prod"].kill()

        async def vacant() -> bool:
            return (await here.status("dev"))["active_instance"] is None

        await until(vacant)
        assert (await here.status("dev"))["state"] == "STANDBY"
        assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 202
        await here.until_active("dev")
        await here.run("prod")
        assert (await here.status("prod"))["is_active"] is False
        here["dev"].kill()
        await here.until_active("prod")


@pytest.mark.req("CTL-13")
async def test_force_takes_control_from_one_that_does_not_answer(
    database_url: str, tmp_path: Path
) -> None:
    slow = {"ONEFILL_LEASE__TTL_MS": "60000", "ONEFILL_LEASE__GIVE_UP_MS": "30000"}
    async with world(database_url, tmp_path, **slow) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        here["prod"].pause()
        told = await here.told("dev", "take-control", "--force")
        assert "Warning: by force" in told
        assert told.index("taken by force") < told.index("ACTIVE - Trading")
        assert (await here.status("dev"))["is_active"]
        here["prod"].resume()

        async def demoted() -> bool:
            return (await here.status("prod"))["state"] == "STANDBY"

        await until(demoted)
        await here.until_told()
        assert (await here.reigns())[-1]["reason"] == "forced"
        assert "forced" in await here.told("prod", "history")


@pytest.mark.req("CTL-11", "CTL-13")
async def test_a_holder_that_does_not_answer_is_forced_after_the_time(
    database_url: str, tmp_path: Path
) -> None:
    hanging = {
        "ONEFILL_LEASE__TTL_MS": "60000",
        "ONEFILL_LEASE__GIVE_UP_MS": "30000",
        "ONEFILL_TAKEOVER__DRAIN_MS": "300",
        "ONEFILL_TAKEOVER__FORCED_AFTER_MS": "1000",
    }
    async with world(database_url, tmp_path, **hanging) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        here["prod"].pause()
        await here.ask("dev", "/api/ginie/take-control", {})
        await here.until_active("dev")
        assert "forced" in steps(await here.status("dev"))


@pytest.mark.req("CTL-11")
async def test_a_requester_that_dies_halfway_leaves_an_active_instance(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await here.ask("dev", "/api/ginie/take-control", {})
        here["dev"].kill()
        await here.until_active("prod")


@pytest.mark.req("CTL-15")
async def test_without_a_preferred_one_the_first_leads_after_a_while(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.until_active("dev")
        await here.until_told()
        (reign,) = await here.reigns()
        (dev,) = await here.rows("SELECT started_at FROM instance_metadata")
        waited = reign["became_at"] - dev["started_at"]
        assert waited.total_seconds() * 1000 >= FIRST_COMER_WAITS_MS - 500
