"""Every setting with its value and where that comes from, for people; secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onefill.config.catalogue import Path
from onefill.config.load import Loaded
from onefill.config.section import Section, written


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting. origin is None for a default."""

    key: str
    value: str
    origin: str | None


def shown(loaded: Loaded) -> Iterator[Shown]:
    """All settings in the order of the models; of free tables only what is there."""
    for path, value in _values(loaded.settings, ()):
        yield Shown(".".join(path), written(value), loaded.origins.get(path))


def _values(section: Section, above: Path) -> Iterator[tuple[Path, object]]:
    for name, value in section:
        yield from _below(value, (*above, name))


def _below(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, Section):
        yield from _values(value, path)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _below(entry, (*path, name))
    elif value is not None:
        yield path, value
