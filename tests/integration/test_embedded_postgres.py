"""The embedded PostgreSQL, with real servers, real kills and real users."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
import pytest

from integration.embedded_world import PROGRAM, execute, is_gone, open_folder, ready
from onefill.embedded import binaries, leftovers
from onefill.embedded.errors import (
    AlreadyInUse,
    BinariesMissing,
    NotAllowed,
    NotStartable,
    WrongMajorVersion,
)
from onefill.embedded.server import EmbeddedPostgres
from strain import within
from support import script, until

STARTS_WITHIN_S = 2.0
IS_WORKING = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%AS long_work'"


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
async def server(data: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A running server."""
    async with EmbeddedPostgres(data) as running:
        yield running


@pytest.mark.req("OPS-5")
async def test_a_cold_start_makes_a_durable_server_of_our_own(server: EmbeddedPostgres) -> None:
    settings = {
        name: await execute(server.url, f"SHOW {name}")
        for name in ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "jit")
    }
    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "replica",
        "jit": "off",
    }
    assert await execute(server.url, "SHOW server_encoding") == "UTF8"


async def test_a_warm_start_finds_its_data_under_the_same_address(data: Path) -> None:
    first = EmbeddedPostgres(data)
    async with first:
        await execute(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    second = EmbeddedPostgres(data)
    async with second:
        assert second.url == first.url
        assert await execute(second.url, "SELECT answer FROM kept") == 42


async def test_starting_and_stopping_twice_is_harmless(data: Path) -> None:
    server = EmbeddedPostgres(data)
    await server.stop()
    await server.start()
    pid = server.pid
    await server.start()
    assert server.pid == pid
    await server.stop()
    await server.stop()
    assert server.pid is None


async def test_nobody_else_can_connect(server: EmbeddedPostgres, data: Path) -> None:
    assert await execute(server.url, "SHOW listen_addresses") == ""
    for folder in (data, data / "sockets", data / "cluster"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [socket_path] = (data / "sockets").glob(".s.PGSQL.5432")
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o700


async def test_the_server_inherits_no_variable_that_could_hold_a_secret(
    server: EmbeddedPostgres,
) -> None:
    entries = Path(f"/proc/{server.pid}/environ").read_text().split("\0")
    assert {entry.partition("=")[0] for entry in entries if entry} == {"LC_ALL", "PATH"}


async def test_a_deep_data_folder_gets_its_socket_elsewhere(data: Path) -> None:
    async with EmbeddedPostgres(data / "a-rather-long-name" / ("x" * 100)) as server:
        assert await execute(server.url, "SELECT 1") == 1
        elsewhere = Path(parse_qs(server.url.partition("?")[2])["host"][0])
        assert elsewhere.parent == Path(tempfile.gettempdir())
    assert not elsewhere.exists()


async def test_a_server_killed_with_9_is_restarted_with_what_was_acknowledged(
    server: EmbeddedPostgres,
) -> None:
    await execute(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.ended() == -signal.SIGKILL
    assert await server.restart_if_dead()
    assert await execute(server.url, "SELECT answer FROM kept") == 42
    assert not await server.restart_if_dead()


async def test_a_restart_that_failed_can_be_tried_again(
    server: EmbeddedPostgres, data: Path
) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.ended()
    version = data / "cluster" / "PG_VERSION"
    version.rename(data / "away")
    with pytest.raises(OSError, match="PG_VERSION"):
        await server.restart_if_dead()
    (data / "away").rename(version)
    assert await server.restart_if_dead()
    await server.stop()
    assert not await server.restart_if_dead()


async def test_a_killed_parent_takes_its_server_along_and_a_new_one_starts(data: Path) -> None:
    with script(PROGRAM, str(data)) as parent:
        pid, url = await ready(parent)
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        parent.kill()
        await until(lambda: is_gone(pid))
    with within(STARTS_WITHIN_S):
        server = EmbeddedPostgres(data)
        await server.start()
    async with server:
        assert await execute(server.url, "SELECT answer FROM kept") == 42


async def test_a_new_start_follows_a_kill_at_once_even_with_a_busy_server(data: Path) -> None:
    with script(PROGRAM, str(data)) as parent:
        pid, url = await ready(parent)
        busy = await asyncpg.connect(url)
        work = asyncio.create_task(busy.execute("SELECT pg_sleep(600) AS long_work"))
        await until(lambda: execute(url, IS_WORKING))
        parent.kill()
        parent.wait()
        with within(STARTS_WITHIN_S):
            server = EmbeddedPostgres(data)
            await server.start()
        async with server:
            assert is_gone(pid)
            assert await execute(server.url, "SELECT 1") == 1
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await work
        busy.terminate()


async def test_a_new_start_waits_for_a_server_that_outlives_its_parent(data: Path) -> None:
    with script(PROGRAM, str(data)) as parent, stopped_server_of(parent) as pid:
        new = EmbeddedPostgres(data)
        starting = asyncio.create_task(new.start())
        await until(lambda: (data / "lock").read_text() == str(os.getpid()))
        assert not is_gone(pid)
        os.kill(pid, signal.SIGCONT)
        await starting
        assert is_gone(pid)
        await new.stop()


async def test_a_server_that_does_not_end_is_never_joined_by_a_second(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_PATIENCE", ((signal.SIGINT, 0.1),))
    with script(PROGRAM, str(data)) as parent, stopped_server_of(parent) as pid:
        with pytest.raises(AlreadyInUse, match=str(pid)):
            await EmbeddedPostgres(data).start()
        assert (data / "cluster" / "postmaster.pid").exists()


async def test_server_and_parent_killed_together_leave_a_startable_folder(data: Path) -> None:
    with script(PROGRAM, str(data)) as parent:
        pid, url = await ready(parent)
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(pid, signal.SIGKILL)
        parent.kill()
        parent.wait()
        assert (data / "cluster" / "postmaster.pid").exists()
        async with EmbeddedPostgres(data) as server:
            assert await execute(server.url, "SELECT answer FROM kept") == 42


async def test_locks_that_name_a_living_stranger_do_not_stop_a_start(data: Path) -> None:
    async with EmbeddedPostgres(data) as server:
        lock = (data / "cluster" / "postmaster.pid").read_text()
        stranger = lock.replace(str(server.pid), str(os.getppid()), 1)
    (data / "cluster" / "postmaster.pid").write_text(stranger)
    (data / "sockets" / ".s.PGSQL.5432.lock").write_text(stranger)
    async with EmbeddedPostgres(data) as server:
        assert await execute(server.url, "SELECT 1") == 1


async def test_a_first_start_killed_half_way_is_begun_again(data: Path) -> None:
    half = data / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(data) as server:
        assert await execute(server.url, "SELECT 1") == 1


async def test_of_two_starters_in_one_process_the_second_is_refused(
    server: EmbeddedPostgres, data: Path
) -> None:
    with pytest.raises(AlreadyInUse, match=str(os.getpid())):
        await EmbeddedPostgres(data).start()
    assert await execute(server.url, "SELECT 1") == 1


async def test_of_two_starters_in_two_processes_the_second_is_refused(
    server: EmbeddedPostgres, data: Path
) -> None:
    with script(PROGRAM, str(data)) as other:
        output, _ = await asyncio.to_thread(other.communicate)
    assert output.strip() == "refused AlreadyInUse"
    assert await execute(server.url, "SELECT 1") == 1


async def test_an_orderly_end_is_a_clean_shutdown(data: Path) -> None:
    with script(PROGRAM, str(data)) as program:
        pid, _ = await ready(program)
        program.terminate()
        assert await asyncio.to_thread(program.wait) == 0
        assert is_gone(pid)
    assert not (data / "cluster" / "postmaster.pid").exists()
    assert "database system is shut down" in (data / "server.log").read_text()


async def test_data_of_another_major_version_are_left_alone(data: Path) -> None:
    async with EmbeddedPostgres(data):
        pass
    (data / "cluster" / "PG_VERSION").write_text("15\n")
    with pytest.raises(WrongMajorVersion, match="written_by=15"):
        await EmbeddedPostgres(data).start()


async def test_a_failed_start_shows_the_end_of_the_log_and_frees_the_folder(data: Path) -> None:
    server = EmbeddedPostgres(data, {"shared_buffers": "as much as you like"})
    with pytest.raises(NotStartable, match="invalid value for parameter"):
        await server.start()
    assert server.pid is None
    async with EmbeddedPostgres(data) as mended:
        assert await execute(mended.url, "SELECT 1") == 1


async def test_missing_binaries_are_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_folder", lambda: data)
    with pytest.raises(BinariesMissing, match="program=postgres"):
        await EmbeddedPostgres(data).start()


def test_the_wheel_brings_pgbench() -> None:
    version = subprocess.check_output([binaries.path("pgbench"), "--version"], text=True)
    assert version.startswith("pgbench (PostgreSQL)")


async def test_a_folder_that_others_may_enter_is_refused(data: Path) -> None:
    (data / "sockets").mkdir(parents=True)
    (data / "sockets").chmod(0o755)
    with pytest.raises(NotAllowed, match="0700"):
        await EmbeddedPostgres(data).start()


@contextlib.contextmanager
def stopped_server_of(parent: subprocess.Popen[str]) -> Iterator[int]:
    """The server of a parent that is killed, stopped so that it cannot see to its own end."""
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        parent.kill()
        parent.wait()
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
