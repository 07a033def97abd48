"""The configuration reference in the documentation, made from the models."""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path as FilePath
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from onefill.config import catalogue
from onefill.config.catalogue import FREE, Key, Path
from onefill.config.section import Section, written

_HEAD = """\
# Configuration

Made from the program by `onefill config reference`; do not edit it by hand.

Settings come from four places; each wins over those before it:

1. the defaults below;
2. `onefill.toml` in the working directory (or `--config FILE`, or `ONEFILL_CONFIG`), with one
   `[profile.NAME]` laid over it (`--profile NAME`, or `ONEFILL_PROFILE`);
3. the environment: `lease.ttl_ms` is `ONEFILL_LEASE__TTL_MS`; lists are written as JSON;
4. options of the command line.

Texts in the file may refer to the environment as `${NAME}`: that is the place for secrets. All is
checked at the start, and every error is told at once. An unknown key is an error that names the
nearest known one; so is a variable `ONEFILL_…` that looks like a misspelt setting.

`onefill config init` writes a commented file, `onefill config show` prints every value with its
origin, and `onefill config check` tells what is wrong.
"""
_NAMES: dict[object, str] = {
    bool: "true or false",
    int: "whole number",
    Decimal: "number",
    str: "text",
    SecretStr: "secret",
    FilePath: "path",
    date: "date",
}


def reference() -> str:
    """The whole page, in Markdown."""
    return _HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    table: Path | None = None
    for key in catalogue.every_key():
        if key.path[:-1] != table:
            table = key.path[:-1]
            yield from _table_head(table)
        yield _row(key)


def _table_head(table: Path) -> Iterator[str]:
    yield ""
    yield f"## `[{'.'.join(table)}]`" if table else "## Top level"
    yield ""
    if about := catalogue.tables().get(table):
        yield about
        yield ""
    yield "| key | takes | default | environment | meaning |"
    yield "|---|---|---|---|---|"


def _row(key: Key) -> str:
    default = "" if key.default is None or key.path[-1] == FREE else f"`{written(key.default)}`"
    cells = (f"`{key.path[-1]}`", _takes(key.kind), default, f"`{key.environment}`")
    return "| " + " | ".join((*cells, (key.info.description or "").replace("|", "\\|"))) + " |"


def _takes(kind: object) -> str:
    """What a key takes, in words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _takes(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_takes(each) for each in args if each is not type(None))
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in args)
    if origin in (tuple, frozenset):
        return "list of " + (_takes(args[0]) + "s").replace("tabless", "tables")
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{each}`" for each in kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        return "table"
    return _NAMES[kind]
