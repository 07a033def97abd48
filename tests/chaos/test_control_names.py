"""Two processes under one name: by mistake, or since the old one was only paused."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from chaos.processes import Server
from chaos.world import World, direct, instance_server, send_until_accepted, world


def twin_of_prod(here: World) -> Server:
    """A second process that is to run under the name of the first, elsewhere."""
    folder = here.folder / "elsewhere"
    folder.mkdir()
    return instance_server("prod", folder)


@pytest.mark.req("CTL-15")
async def test_a_second_process_under_a_living_ones_name_is_refused_and_takes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        twin = twin_of_prod(here)
        try:
            twin.start(here.environment)
            assert await twin.ended(60) == 1
            assert twin.logged("Another process runs under this instance's name")
            assert twin.logged("give one another name")
        finally:
            twin.kill()
        assert (await here.status("prod"))["state"] == "ACTIVE"
        assert len(await here.reigns()) == 1


@pytest.mark.req("CTL-6", "CTL-12")
async def test_a_paused_process_whose_name_was_started_again_ends_when_it_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["prod"].url, direct("s1", "SIM001"))
            here["prod"].pause()
            twin = twin_of_prod(here)
            try:
                twin.start(here.environment)
                await twin.up()
                await send_until_accepted(session, twin.url, direct("s2", "SIM002"))
                here["prod"].resume()
                assert await here["prod"].ended(60) == 1
                assert here["prod"].logged("Another process runs under this instance's name")
                await send_until_accepted(session, twin.url, direct("s3", "SIM003"))
                await here.judge(signals=3)
                assert [reign["instance"] for reign in await here.reigns()] == ["prod", "prod"]
                assert twin.is_running
            finally:
                twin.stop()
