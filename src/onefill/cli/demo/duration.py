"""Durations as people write them."""

from __future__ import annotations

import re

from onefill.cli.errors import Usage

_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(written: str) -> float:
    """The seconds in `90`, `30s`, `5m` or `1h`; more than none. Raises Usage."""
    match = _FORM.fullmatch(written.strip())
    value = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if value <= 0:
        raise Usage(f"{written!r} is no duration; write 30s, 5m or 1h")
    return value
