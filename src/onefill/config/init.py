"""The commented file that `onefill config init` writes, made from the models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from onefill.config import catalogue
from onefill.config.catalogue import FREE, Key, Path
from onefill.config.section import written
from onefill.core.defaults import INSTRUMENTS

_HEAD = """\
# onefill's settings. Every line shows its default; take the `#` away to change one.
# Each is also an environment variable, which wins over this file. Secrets belong there:
# refer to them as "${NAME}". `onefill config check` tells everything that is wrong at once.

"""
_TAIL = """
# Profiles lay their values over those above: `onefill serve --profile production`.
# [profile.production]
# log_format = "json"
"""
_EXAMPLES = {
    "strategies": "main",
    "instruments": "BANK_NIFTY",
    "holidays": "NSE",
    "limits": "everything",
}


def commented_file() -> str:
    """A whole `onefill.toml` in which every setting is explained and left at its default."""
    return _HEAD + "\n".join(_lines()) + "\n" + _TAIL


def _lines() -> Iterator[str]:
    table: Path = ()
    for key in catalogue.every_key():
        if key.path[:-1] != table:
            table = key.path[:-1]
            yield from _table_head(table)
        yield from _entry(key)


def _table_head(table: Path) -> Iterator[str]:
    example = tuple(_EXAMPLES.get(table[0], part) if part == FREE else part for part in table)
    about = catalogue.tables().get(table, "")
    yield ""
    yield from (f"# {line}" for line in textwrap.wrap(about, 92))
    # A table of free names is an example; empty tables of the others do no harm.
    yield f"# [{'.'.join(example)}]" if FREE in table else f"[{'.'.join(example)}]"


def _entry(key: Key) -> Iterator[str]:
    if key.path[-1] != FREE:  # else its table has said it
        yield from (f"# {line}" for line in textwrap.wrap(key.info.description or "", 92))
    name = "tradingview" if key.path[-1] == FREE else key.path[-1]
    if key.is_secret:
        variable = key.environment.replace(FREE, name.upper())
        yield f'# {name} = "${{{variable}}}"'
    elif key.path[0] == "instruments":
        is_plain = key.path[-2] == FREE
        yield f"# {name} = {_of_instrument(name) if is_plain else written(key.default)}"
    else:
        yield f"# {name} = {written(key.default)}"


def _of_instrument(field: str) -> str:
    """What the instrument of the example has."""
    value = getattr(INSTRUMENTS[_EXAMPLES["instruments"]], field)
    if field == "units_per_lot":
        since = max(value)[0]
        return f"[{{since = {since}, units = {max(value)[1]}}}]"
    return written(value)
