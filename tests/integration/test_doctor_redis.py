"""What the doctor says of a Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from onefill.cli.doctoring.finding import Finding, Grade
from onefill.cli.doctoring.redis import redis
from onefill.config.load import load
from onefill.config.settings import Settings, Topology
from onefill.ports.clock import RealClock
from redis_servers import RedisServer, redis_server, redis_server_of
from support import free_port, until

__all__ = ["redis_server"]


async def findings(url: str, *, authority: bool = True) -> dict[str, Finding]:
    """By subject; authority: as if this Redis held the lease."""
    settings: Settings = load(environ={"ONEFILL_REDIS_URL": url}).settings
    if authority:
        settings = settings.model_copy(update={"topology": Topology.SHARED_REDIS})
    return {each.subject: each async for each in redis(settings, RealClock())}


@pytest.mark.req("CTL-21")
async def test_a_durable_lone_redis_is_fine(redis_server: RedisServer) -> None:
    found = await findings(redis_server.url)
    assert {each.grade for each in found.values()} == {Grade.OK}
    assert {"redis", "redis appendonly", "redis appendfsync", "redis replicas"} <= set(found)


@pytest.mark.req("CTL-21")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendonly", "no"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "allkeys-lru"),
        ("no-appendfsync-on-rewrite", "yes"),
    ],
)
async def test_an_authority_that_may_lose_writes_fails_and_a_helper_is_warned_of(
    redis_server: RedisServer, name: str, value: str
) -> None:
    client = redis_server.client()
    client.config_set(name, value)
    client.close()
    for authority, grade in ((True, Grade.FAIL), (False, Grade.WARN)):
        found = (await findings(redis_server.url, authority=authority))[f"redis {name}"]
        assert (found.grade, found.found) == (grade, value)
        assert found.remedy


@pytest.mark.req("CTL-21")
async def test_a_replica_that_may_take_over_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = str(free_port())
    with (
        redis_server_of("valkey", tmp_path_factory.mktemp("master"), "--port", port) as master,
        redis_server_of(
            "valkey", tmp_path_factory.mktemp("replica"), "--replicaof", "127.0.0.1", port
        ) as replica,
    ):
        await master.up()
        await replica.up()

        async def follows() -> bool:
            return (await findings(master.url))["redis replicas"].grade is Grade.FAIL

        await until(follows)
        assert (await findings(replica.url))["redis role"].grade is Grade.FAIL


@pytest.mark.req("CTL-10")
async def test_none_is_fine_and_one_that_is_away_is_only_a_warning_beside_postgresql(
    tmp_path: Path,
) -> None:
    assert (await findings("", authority=False))["redis"].grade is Grade.OK
    url = f"unix://{tmp_path}/nobody"
    assert (await findings(url, authority=False))["redis"].grade is Grade.WARN
    assert (await findings(url))["redis"].grade is Grade.FAIL
