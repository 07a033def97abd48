"""The witness in Redis and the lease in the database disagree, on real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS

import pytest

from chaos.shared_redis import RedisWorld, redis_world
from support import until

LASTING = {"ONEFILL_LEASE__TTL_MS": "60000", "ONEFILL_LEASE__GIVE_UP_MS": "30000"}


async def epoch_of(given: RedisWorld) -> int:
    """The epoch of the lease."""
    (lease,) = await given.world.rows("SELECT epoch FROM leases")
    return int(lease["epoch"])


async def report(given: RedisWorld, name: str) -> dict[str, Any]:
    """What that instance finds when it asks both stores."""
    return dict((await given.world.ask(name, "/coordinator/leader"))[1])


async def until_named_nowhere(given: RedisWorld, name: str) -> None:
    """Wait until neither store names that instance as leader."""

    async def gone() -> bool:
        (lease,) = await given.world.rows("SELECT holder FROM leases")
        client = given.redis.client()
        named = client.get("ginie:active")
        client.close()
        return bool(lease["holder"] != name and named != name.encode())

    await until(gone)


@pytest.mark.req("CTL-7")
async def test_a_witness_that_is_behind_is_corrected_by_the_next_renewal(
    database_url: str, tmp_path: Path
) -> None:
    async with redis_world(database_url, tmp_path, "prod", "dev") as given:
        await given.run("prod", "dev")
        await given.world.until_active("prod")
        await given.until_named("prod")
        given.write(await epoch_of(given) - 1, "ghost")
        await given.until_named("prod")
        given.redis.flush()
        await given.until_named("prod")
        assert (await report(given, "dev"))["split_brain"] is False
        await given.world.until_told()
        assert [reign["instance"] for reign in await given.world.reigns()] == ["prod"]


@pytest.mark.req("CTL-7")
async def test_two_names_with_two_epochs_are_a_conflict_and_an_unknown_one_is_none(
    database_url: str, tmp_path: Path
) -> None:
    async with redis_world(database_url, tmp_path, "prod", "dev", **LASTING) as given:
        await given.run("prod", "dev")
        await given.world.until_active("prod")
        await given.until_named("prod")
        epoch = await epoch_of(given)
        given.world["prod"].pause()  # who would correct the witness

        async def in_conflict() -> bool:  # its last word may still be on the line to Redis
            given.write(epoch - 1, "ghost")
            found = await report(given, "dev")
            named = (found["redis_leader"], found["db_leader"]) == ("ghost", "prod")
            return named and found["split_brain"] is True

        await until(in_conflict)
        given.wires["dev"].cut()

        async def unknown() -> bool:
            return (await report(given, "dev"))["split_brain"] is None

        await until(unknown)
        assert (await report(given, "dev"))["redis_leader"] is None
        given.wires["dev"].mend()
        given.write(epoch, "prod")

        async def agreed() -> bool:
            return (await report(given, "dev"))["split_brain"] is False

        await until(agreed)
        given.world["prod"].resume()


@pytest.mark.req("CTL-7", "CTL-18", "CTL-19")
async def test_a_leader_whose_witness_is_ahead_steps_down_and_neither_store_names_it(
    database_url: str, tmp_path: Path
) -> None:
    async with redis_world(database_url, tmp_path, "prod") as given:
        await given.run("prod")
        await given.world.until_active("prod")
        await given.until_named("prod")
        given.write(await epoch_of(given) + 5, "ghost")

        async def demoted() -> bool:
            return not (await given.world.status("prod"))["is_active"]

        await until(demoted)
        await until_named_nowhere(given, "prod")

        async def told() -> bool:
            reigns = await given.world.reigns()
            return bool(reigns[0]["end_reason"] == "split_brain")

        await until(told)
        log = given.world["prod"]
        error = 'SPLIT BRAIN.*"level": "error"|"level": "error".*SPLIT BRAIN'
        await until(lambda: log.logged(error))
        critical = 'SAFE - The database lost commits.*"level": "critical"'
        await until(lambda: log.logged(critical))


@pytest.mark.req("CTL-7", "CTL-3", "CTL-19")
async def test_a_leader_whose_row_is_anothers_is_demoted_at_its_next_renewal(
    database_url: str, tmp_path: Path
) -> None:
    async with redis_world(database_url, tmp_path, "prod") as given:
        await given.run("prod", **LASTING)
        await given.world.until_active("prod")
        await given.until_named("prod")
        await given.world.rows(
            "UPDATE leases SET epoch = epoch + 1, holder = 'ghost', boot = $1, "
            "lease_until = clock_timestamp() + interval '60 s'",
            NAMESPACE_DNS,
        )

        async def demoted() -> bool:
            return (await given.world.status("prod"))["state"] == "STANDBY"

        await until(demoted, 25)  # not by its own deadline, after thirty
        await until_named_nowhere(given, "prod")
        prod = given.world["prod"]
        await until(lambda: prod.logged("LOST LEADERSHIP - Stopped processing signals"))
