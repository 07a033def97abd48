"""Becomes another program that dies with its parent; run as a script by `process.spawn`.

The work between fork and exec happens here, in a program of its own, because code that runs in a
forked copy of a process with threads can deadlock. Needs only the standard library and starts
with `python -I -S` in about 20 ms; the process id stays, so the program is a direct child.

    launch.py IDENTITY DEATH_SIGNAL PARENT FOLDER PROGRAM [ARGUMENT ...]

IDENTITY: `same`, `namespace:UID:GID` (a user namespace in which we are UID) or `user:UID:GID`.
"""

import ctypes
import os
import signal
import sys

NO_NAMESPACE = 71
"""Exit code: the system does not let us make a user namespace."""
NOT_ALLOWED = 77
"""Exit code: that identity may not enter the folder or run the program."""
ORPHANED = 75
"""Exit code: the parent died before we were tied to it."""

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGINT")


def main(identity: str, death_signal: str, parent: str, folder: str, *argv: str) -> int:
    """Take the identity, tie this process to its parent, and become the program."""
    for name in _IGNORED_BY_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        _take(identity)
    except OSError as error:
        return _explain(NO_NAMESPACE if identity.startswith("namespace") else NOT_ALLOWED, error)
    if not _dies_with(int(parent), int(death_signal)):
        return ORPHANED
    try:
        if folder:
            os.chdir(folder)
        os.execvp(argv[0], argv)
    except OSError as error:
        return _explain(NOT_ALLOWED, error)


def _take(identity: str) -> None:
    kind, *numbers = identity.split(":")
    if kind == "same":
        return
    uid, gid = map(int, numbers)
    if kind == "namespace":
        _enter_namespace(uid, gid)
    else:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if _c_library().unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    _write("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def _dies_with(parent: int, death_signal: int) -> bool:
    """Ask for the signal at the parent's death; False when it is dead already.

    Comes after the change of user, which forgets it. Only Linux can do this.
    """
    if sys.platform == "linux":
        _c_library().prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    return os.getppid() == parent


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 5 ms here
        file.write(text)


def _explain(code: int, error: OSError) -> int:
    print(error, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
