"""As whom the server runs: PostgreSQL refuses root, and initdb refuses a user without a name."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from onefill.embedded import binaries, process
from onefill.embedded.errors import BinariesMissing, NotAllowed
from onefill.embedded.launch import NO_NAMESPACE, NOT_ALLOWED
from onefill.embedded.process import SAME, Identity

ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "PATH": os.defpath}
"""All that the server's programs inherit: no secret of ours reaches them."""


async def choose(data: Path, cluster: Path) -> tuple[Identity, str]:
    """Who may run the server in the data folder, and the server's major version.

    An ordinary user runs it as itself. Root runs it inside a user namespace of its own, where it
    is `nobody` but owns the same files; where there are no namespaces, as `nobody` for real. A
    cluster that belongs to an ordinary user is served as that user.
    Raises NotAllowed, or BinariesMissing where the programs do not run.
    """
    argv: list[str | Path] = [binaries.path("postgres"), "--version"]
    for identity in _candidates(cluster):
        give(data, identity)
        tried = await process.run(argv, identity=identity, folder=data, env=ENVIRONMENT)
        if tried.code != NO_NAMESPACE:
            break
    if tried.code in (NO_NAMESPACE, NOT_ALLOWED):
        raise NotAllowed(f"PostgreSQL may not run here: {tried.text}", data=data)
    if tried.code != 0:
        raise BinariesMissing(f"PostgreSQL does not run here: {tried.text}", program=argv[0])
    return identity, tried.text.split()[-1].partition(".")[0]


def make_private(folder: Path, identity: Identity) -> None:
    """Make a folder that the server's user alone may enter: whoever can enter is trusted."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = found.st_uid in (os.geteuid(), identity.uid)
    if folder.is_symlink() or not ours or found.st_mode & 0o077:
        raise NotAllowed("This folder must be ours alone (mode 0700).", folder=folder)
    give(folder, identity)


def give(path: Path, identity: Identity) -> None:
    """Make the server's user the owner, where that is not us."""
    if identity.kind == "user":
        os.chown(path, identity.uid, identity.gid)


def _candidates(cluster: Path) -> list[Identity]:
    uid = os.geteuid()
    if uid != 0 and _has_name(uid):
        return [SAME]
    if uid == 0 and cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return [Identity("user", owner.st_uid, owner.st_gid)]
    nobody = pwd.getpwnam("nobody")
    namespace = Identity("namespace", nobody.pw_uid, nobody.pw_gid)
    return [namespace, Identity("user", nobody.pw_uid, nobody.pw_gid) if uid == 0 else SAME]


def _has_name(uid: int) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwuid(uid).pw_name)
    return False
