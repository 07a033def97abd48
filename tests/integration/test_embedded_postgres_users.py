"""The embedded PostgreSQL of root, of an ordinary user and of a user without a name."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.embedded_world import PROGRAM, execute, is_gone, open_folder, ready
from onefill.embedded import binaries, identity
from onefill.embedded.errors import NoSpace, NotAllowed
from onefill.embedded.process import Identity
from onefill.embedded.server import EmbeddedPostgres
from support import SOURCE, require, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder."""
    with open_folder() as folder:
        yield folder


@pytest.mark.req("OPS-12")
async def test_roots_server_runs_in_a_user_namespace(data: Path) -> None:
    async with EmbeddedPostgres(data) as server:
        ours, theirs = (Path(f"/proc/{pid}/ns/user").readlink() for pid in ("self", server.pid))
        assert ours != theirs
        assert status_of(server.pid)["CapEff"] == "0000000000000000"


@pytest.mark.req("OPS-12")
async def test_without_namespaces_roots_server_runs_as_nobody(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_namespaces(monkeypatch)
    nobody = pwd.getpwnam("nobody").pw_uid
    for _cold_then_warm in range(2):
        async with EmbeddedPostgres(data) as server:
            assert status_of(server.pid)["Uid"].split() == [str(nobody)] * 4
            assert await execute(server.url, "SELECT 1") == 1


async def test_a_path_closed_to_nobody_is_refused_with_a_remedy(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_namespaces(monkeypatch)
    data.parent.chmod(0o700)
    with pytest.raises(NotAllowed, match="Permission denied") as refusal:
        await EmbeddedPostgres(data).start()
    assert "chmod o+x" in refusal.value.remedy


async def test_an_ordinary_users_server_dies_with_it_and_root_may_go_on_with_its_data(
    data: Path,
) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(data.parent, nobody.pw_uid, nobody.pw_gid)
    with ordinary_program(data, nobody.pw_uid, nobody.pw_gid) as parent:
        pid, url = await ready(parent)
        assert status_of(pid)["Uid"].split() == [str(nobody.pw_uid)] * 4
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        parent.kill()
        await until(lambda: is_gone(pid))
    async with EmbeddedPostgres(data) as server:
        assert await execute(server.url, "SELECT answer FROM kept") == 42
    with ordinary_program(data, nobody.pw_uid, nobody.pw_gid) as parent:
        _, url = await ready(parent)
        assert await execute(url, "SELECT answer FROM kept") == 42


async def test_a_user_without_a_name_has_a_server_too(data: Path) -> None:
    nameless = 54_321
    os.chown(data.parent, nameless, nameless)
    with ordinary_program(data, nameless, nameless) as parent:
        await ready(parent)


async def test_a_full_disk_is_called_one(data: Path) -> None:
    require("mount")
    data.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(data)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small file system")
    try:
        with pytest.raises(NoSpace) as refusal:
            await EmbeddedPostgres(data).start()
        assert "200 MB" in refusal.value.remedy
    finally:
        subprocess.run(["umount", str(data)], check=True)


def status_of(pid: int | None) -> dict[str, str]:
    """The system's view of a process: users, capabilities."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first try fail as on a system that forbids user namespaces."""
    everyone = identity._candidates

    def candidates(cluster: Path) -> list[Identity]:
        return [who for who in everyone(cluster) if who.kind != "namespace"]

    monkeypatch.setattr(identity, "_candidates", candidates)


@contextlib.contextmanager
def ordinary_program(data: Path, uid: int, gid: int) -> Iterator[subprocess.Popen[str]]:
    """The test's program as an ordinary user, in a Python that this user can run."""
    as_user = [require("setpriv"), f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    packages = str(binaries.path("postgres").parents[3])
    paths = os.pathsep.join([str(SOURCE), packages])
    program = subprocess.Popen(
        [*as_user, runnable_python(as_user), "-P", PROGRAM, str(data)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def runnable_python(as_user: list[str]) -> str:
    """An interpreter of our version that the user may run; ours may lie in root's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        again = f"import subprocess; subprocess.run(['{python}', '-c', ''], check=True)"
        tried = subprocess.run([*as_user, python, "-c", again], capture_output=True, check=False)
        if tried.returncode == 0:
            return python
    pytest.skip(f"no {version} that an ordinary user may run")
