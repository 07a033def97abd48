"""All keys there are, read off the models: for the environment, nearest names, documents."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from onefill.config.section import Section
from onefill.config.settings import Settings

Path = tuple[str, ...]
FREE = "NAME"
"""Stands in a path for a name that the user chooses (a portfolio, an instrument)."""
PREFIX = "ONEFILL_"
CONTRACT_NAMES: Mapping[str, Path] = {
    "ONEFILL_DATABASE_URL": ("database", "url"),
    "ONEFILL_REDIS_URL": ("redis", "url"),
}
"""Environment names of the harness contract (IF-13) that the general rule does not give."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: where it is, what it takes, what it means."""

    path: Path
    kind: object
    info: FieldInfo

    @property
    def name(self) -> str:
        """The dotted name, as errors write it."""
        return ".".join(self.path)

    @property
    def environment(self) -> str:
        """Its name in the environment; the contract's where it has one."""
        short = [name for name, path in CONTRACT_NAMES.items() if path == self.path]
        return short[0] if short else PREFIX + "__".join(self.path).upper()

    @property
    def default(self) -> object:
        """Its default, or None where there is none."""
        value = self.info.get_default(call_default_factory=True)
        return None if value is PydanticUndefined else value

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return SecretStr in _members(self.kind)

    @property
    def takes_text(self) -> bool:
        """Whether an empty text is a value of its own, rather than no value."""
        return bool({str, SecretStr} & set(_members(self.kind)))


@cache
def every_key() -> tuple[Key, ...]:
    """Every key, in the order of the models, tables after plain values."""
    return tuple(_walk(Settings, ()))


@cache
def tables() -> Mapping[Path, str]:
    """Every table with what it is for."""
    return dict(_tables(Settings, ()))


def key_at(path: Path) -> Key | None:
    """The key that this path sets, or None."""
    return next((key for key in every_key() if _matches(key.path, path)), None)


def is_table(path: Path) -> bool:
    """Whether keys lie below this path."""
    return any(
        len(key.path) > len(path) and _matches(key.path[: len(path)], path) for key in every_key()
    )


def nearest(path: Path) -> str | None:
    """The known name that looks most like this path, or None when none does."""
    known = {".".join(_named_like(key.path, path)): None for key in every_key()}
    known.update({".".join(_named_like(table, path)): None for table in tables()})
    near = difflib.get_close_matches(".".join(path), known, n=1, cutoff=0.6)
    if near:
        return near[0]
    ends = {name.rsplit(".", 1)[-1]: name for name in known}
    near = difflib.get_close_matches(path[-1], ends, n=1, cutoff=0.75)
    return ends[near[0]] if near else None


def _named_like(known: Path, path: Path) -> Path:
    """A known path, with the free names taken from the path where it has them."""
    return tuple(
        path[place] if part == FREE and place < len(path) else part
        for place, part in enumerate(known)
    )


def _matches(known: Path, path: Path) -> bool:
    return len(known) == len(path) and all(
        ours in (FREE, theirs) for ours, theirs in zip(known, path, strict=True)
    )


def _walk(section: type[Section], above: Path) -> Iterator[Key]:
    fields = section.model_fields.items()
    for name, info in fields:
        if _section_in(info.annotation) is None and _entry_of(info.annotation) is None:
            yield Key((*above, name), info.annotation, info)
    for name, info in fields:
        path = (*above, name)
        if (below := _section_in(info.annotation)) is not None:
            yield from _walk(below, path)
        elif (entry := _entry_of(info.annotation)) is not None:
            inner = _section_in(entry)
            if inner is None:
                yield Key((*path, FREE), entry, info)
            else:
                yield from _walk(inner, (*path, FREE))


def _tables(section: type[Section], above: Path) -> Iterator[tuple[Path, str]]:
    for name, info in section.model_fields.items():
        path = (*above, name)
        if (below := _section_in(info.annotation)) is not None:
            yield path, (below.__doc__ or "").split(" Source:")[0].strip()
            yield from _tables(below, path)
        elif (entry := _entry_of(info.annotation)) is not None:
            inner = _section_in(entry)
            free = path if inner is None else (*path, FREE)
            yield free, info.description or ""


def _section_in(kind: object) -> type[Section] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _entry_of(kind: object) -> Any | None:
    return get_args(kind)[1] if get_origin(kind) is Mapping else None


def _members(kind: object) -> tuple[object, ...]:
    """The plain types that an annotation is made of."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _members(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return tuple(member for part in get_args(kind) for member in _members(part))
    return (kind,)
